import type { Command } from 'commander'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { differs, type PlanInfo, type ProofInfo, planLines, proofLines, unknownOf } from '../previews.ts'
import { type RecordInfo, recordLines, refuseFailed, watchRun } from '../run-progress.ts'
import type { ServerApi } from '../server-api.ts'
import { listAllTasks, listTasks, type Page, TASKS, type TaskInfo, taskKeyOf } from '../task-names.ts'
import { fields, table } from '../terminal.ts'
import { wholeNumber } from '../whole-number.ts'
import { bodyOf, type DescribedTask, describeTask } from './task-options.ts'

const MOST_LISTED = 20

/** Replication tasks, named by their name or key. */
export function taskCommands(program: Command, { clock, signal, ...context }: CommandContext): void {
  const task = program.command('task').description('replication tasks, named by name or key')

  describeTask(
    task.command('create [name]').description('make a task; without --cron, --at and --off it runs at once'),
  ).action(async (name: string | undefined, options: DescribedTask, command: Command) => {
    const terminal = context.terminal(command)
    const body = await bodyOf(name, options, terminal)
    const server = await context.server(command)
    const made = await server.call<TaskInfo>('POST', `${TASKS}/create`, body)
    terminal.show(made, ({ key }) => [`Made task ${made.name} (${key})${planText(made)}`])
  })

  task
    .command('list [project]')
    .description('tasks of a project, or of all')
    .action(async (project: string | undefined, _options: object, command: Command) => {
      const server = await context.server(command)
      const found = project === undefined ? await listAllTasks(server) : await listTasks(server, project)
      context.terminal(command).show(found, taskTable)
    })

  task
    .command('show <task>')
    .description('everything about a task')
    .action(async (named: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const path = `${TASKS}/detail/${await taskKeyOf(server, named)}`
      const detail = await server.call<{ task: object; objects: object[] }>('GET', path)
      context.terminal(command).show(detail, () => fields({ ...detail.task, objects: detail.objects }))
    })

  task
    .command('run <task>')
    .description('start a run and show how far it is; ends with 1 when it is FAILED')
    .option('--no-wait', 'only start it')
    .action(async (named: string, { wait }: { wait: boolean }, command: Command) => {
      const server = await context.server(command)
      const terminal = context.terminal(command)
      const key = await taskKeyOf(server, named)
      await server.call('POST', `${TASKS}/execute/${key}`)
      const started = await newestRecord(server, key)
      if (!wait) return terminal.show(started, ({ id }) => [`Run ${id} has begun`])
      terminal.note(`Run ${started.id} has begun`)
      const ended = await watchRun(server, started.id, terminal, clock, signal)
      terminal.show(ended, recordLines)
      refuseFailed(ended)
    })

  describeTask(
    task
      .command('plan [task]')
      .description('what a run would do now, of a task, or of one that the options describe; nothing is changed'),
  )
    .option('--class <class>', 'list only what would be: SEND, SKIP, KEEP, FAIL or DELETE')
    .option('--limit <number>', 'list so many artifacts', wholeNumber, MOST_LISTED)
    .action(async (named: string | undefined, options: DescribedTask & Listed, command: Command) => {
      const server = await context.server(command)
      const terminal = context.terminal(command)
      const isNew = options.file !== undefined || options.from.length > 0
      const plan = isNew
        ? await server.call<PlanInfo>(
            'POST',
            `${TASKS}/plan?${listed(options)}`,
            await bodyOf(named ?? 'planned', options, terminal),
          )
        : await server.call<PlanInfo>('GET', `${TASKS}/plan/${await keyOf(server, named)}?${listed(options)}`)
      terminal.show(plan, planLines)
      refuseUnknown(plan)
    })

  task
    .command('verify <task>')
    .description('whether both sides are equal now; ends with 1 when they differ in what was not kept there by SKIP')
    .option('--deep', 'compare row by row instead of by sums')
    .option('--content', 'read the stored bytes of both sides again; takes its time')
    .option('--class <class>', 'list only what is: MISSING, CONTENT, METADATA, EXTRA, KEPT, FAILED or DAMAGED')
    .option('--limit <number>', 'list so many artifacts', wholeNumber, MOST_LISTED)
    .action(async (named: string, { deep, content, ...options }: VerifyOptions, command: Command) => {
      const server = await context.server(command)
      const query = `${listed(options)}${deep === true ? '&deep=true' : ''}${content === true ? '&content=true' : ''}`
      const proof = await server.call<ProofInfo>('POST', `${TASKS}/verify/${await taskKeyOf(server, named)}?${query}`)
      context.terminal(command).show(proof, proofLines)
      refuseUnknown(proof)
      if (differs(proof)) throw new CliFailure('Source and target differ', EXIT.failed)
    })

  task
    .command('stop <task>')
    .description('end the run in progress; what was copied stays')
    .action(async (named: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const key = await taskKeyOf(server, named)
      await server.call('POST', `${TASKS}/stop/${key}`)
      context.terminal(command).show(await newestRecord(server, key), ({ id }) => [`Run ${id} is stopped`])
    })

  for (const [verb, enabled] of [
    ['enable', true],
    ['disable', false],
  ] as const) {
    task
      .command(`${verb} <task>`)
      .description(enabled ? 'let a task run by itself' : 'let a task start no more runs; one in progress goes on')
      .action(async (named: string, _options: object, command: Command) => {
        const server = await context.server(command)
        const key = await taskKeyOf(server, named)
        const before = await server.call<TaskInfo>('GET', `${TASKS}/info/${key}`)
        if (before.enabled !== enabled) await server.call('POST', `${TASKS}/toggle/status/${key}`)
        const now = await server.call<TaskInfo>('GET', `${TASKS}/info/${key}`)
        context.terminal(command).show(now, (one) => [`Task ${one.name} is ${enabled ? 'on' : 'off'}${planText(one)}`])
      })
  }

  task
    .command('delete <task>')
    .description('delete a task with its records; what it copied stays')
    .action(async (named: string, _options: object, command: Command) => {
      const server = await context.server(command)
      await server.call('DELETE', `${TASKS}/delete/${await taskKeyOf(server, named)}`)
      context.terminal(command).show({ task: named }, () => [`Deleted task ${named}`])
    })
}

async function newestRecord(server: ServerApi, key: string): Promise<RecordInfo> {
  const { records } = await server.call<Page<RecordInfo>>('GET', `${TASKS}/record/page/${key}?pageSize=1`)
  const [newest] = records
  if (newest === undefined) throw new CliFailure('The run that was started is gone', EXIT.failed)
  return newest
}

async function keyOf(server: ServerApi, named: string | undefined): Promise<string> {
  if (named === undefined) throw new CliFailure('Which task? Name it, or describe one by --from and --to', EXIT.usage)
  return taskKeyOf(server, named)
}

function refuseUnknown(found: PlanInfo | ProofInfo): void {
  const unknown = unknownOf(found)
  if (unknown.length > 0) throw new CliFailure(`It could not be found out: ${unknown.join('; ')}`, EXIT.failed)
}

interface Listed {
  readonly class?: string
  readonly limit: number
}
interface VerifyOptions extends Listed {
  readonly deep?: boolean
  readonly content?: boolean
}
const listed = ({ class: only, limit }: Listed): URLSearchParams =>
  new URLSearchParams({
    pageSize: String(Math.max(1, limit)),
    ...(only !== undefined && { class: only.toUpperCase() }),
  })

const planText = ({ nextExecutionTime }: TaskInfo): string =>
  nextExecutionTime === null ? '' : `; it runs next at ${nextExecutionTime}`

const taskTable = (tasks: readonly TaskInfo[]): string[] =>
  table(
    ['task', 'type', 'from', 'to', 'on', 'status', 'last', 'next', 'key'],
    tasks.map((one) => [
      ...[one.name, one.replicaType, one.projectId, one.remoteClusters.map(({ name }) => name).join(' ')],
      ...[one.enabled ? 'yes' : 'no', one.status, one.lastExecutionStatus ?? ''],
      ...[one.nextExecutionTime ?? '', one.key],
    ]),
  )
