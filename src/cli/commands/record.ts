import type { Command } from 'commander'
import type { CommandContext } from '../command-context.ts'
import { countsText, getRecord, type RecordInfo, recordLines, refuseFailed, watchRun } from '../run-progress.ts'
import { type Page, TASKS, taskKeyOf } from '../task-names.ts'
import { bytesText, table } from '../terminal.ts'
import { wholeNumber } from '../whole-number.ts'

interface Detail {
  readonly remoteCluster: string
  readonly localRepoName: string
  readonly artifactName: string | null
  readonly version: string | null
  readonly size: number | null
  readonly status: string
  readonly conflictStrategy: string | null
  readonly errorReason: string | null
}

const PATH = `${TASKS}/record`
const MOST_SHOWN = 100

/** Runs of tasks and what they did. */
export function recordCommands(program: Command, { clock, signal, ...context }: CommandContext): void {
  const record = program.command('record').description('runs of replication tasks')

  record
    .command('list <task>')
    .description('runs of a task, newest first')
    .option('--page <number>', 'which page', wholeNumber, 1)
    .option('--page-size <number>', 'runs of a page', wholeNumber, 20)
    .action(async (named: string, { page, pageSize }: { page: number; pageSize: number }, command: Command) => {
      const server = await context.server(command)
      const query = new URLSearchParams({ pageNumber: String(page), pageSize: String(pageSize) })
      const path = `${PATH}/page/${await taskKeyOf(server, named)}?${query}`
      context.terminal(command).show(await server.call<Page<RecordInfo>>('GET', path), ({ records }) =>
        table(
          ['run', 'status', 'started', 'ended', 'artifacts', 'sent'],
          records.map((one) => [
            ...[one.id, one.status, one.startTime, one.endTime ?? ''],
            ...[countsText(one), bytesText(one.replicatedBytes)],
          ]),
        ),
      )
    })

  record
    .command('show <run>')
    .description('a run, and what became of its artifacts')
    .option('--failed', 'only artifacts that failed')
    .action(async (id: string, { failed }: { failed?: boolean }, command: Command) => {
      const server = await context.server(command)
      const found = await getRecord(server, id)
      const query = new URLSearchParams({ pageSize: String(MOST_SHOWN), ...(failed === true && { status: 'FAILED' }) })
      const details = await server.call<Page<Detail>>('GET', `${PATH}/detail/page/${encodeURIComponent(id)}?${query}`)
      context
        .terminal(command)
        .show({ ...found, details: details.records, totalDetails: details.totalRecords }, () => [
          ...recordLines(found),
          ...detailLines(details),
        ])
    })

  record
    .command('watch <run>')
    .description('show how far a run is until its end; ends with 1 when it is FAILED')
    .action(async (id: string, _options: object, command: Command) => {
      const terminal = context.terminal(command)
      const ended = await watchRun(await context.server(command), id, terminal, clock, signal)
      terminal.show(ended, recordLines)
      refuseFailed(ended)
    })

  record
    .command('retry <run>')
    .description('try again what failed in a run, and show how far it is; ends with 1 when it is FAILED')
    .option('--no-wait', 'only start it')
    .action(async (id: string, { wait }: { wait: boolean }, command: Command) => {
      const server = await context.server(command)
      const terminal = context.terminal(command)
      const started = await server.call<string>('POST', `${PATH}/retry/${encodeURIComponent(id)}`)
      if (!wait) return terminal.show(await getRecord(server, started), () => [`Run ${started} has begun`])
      terminal.note(`Run ${started} has begun`)
      const ended = await watchRun(server, started, terminal, clock, signal)
      terminal.show(ended, recordLines)
      refuseFailed(ended)
    })
}

function detailLines({ records, totalRecords }: Page<Detail>): string[] {
  if (records.length === 0) return []
  const lines = table(
    ['artifact', 'target', 'size', 'status', 'why'],
    records.map((one) => [
      `${one.localRepoName}${nameOf(one)}`,
      one.remoteCluster,
      one.size === null ? '' : bytesText(one.size),
      one.conflictStrategy === null ? one.status : `${one.status}, conflict: ${one.conflictStrategy}`,
      one.errorReason?.replaceAll('\n', '; ') ?? '',
    ]),
  )
  const more = totalRecords - records.length
  return ['', ...lines, ...(more > 0 ? [`and ${more} more`] : [])]
}

const nameOf = ({ artifactName, version }: Detail): string =>
  version === null ? (artifactName ?? '') : ` ${artifactName}@${version}`
