import type { Command } from 'commander'
import { BACKUPS, type BackupInfo, backupNamed, getBackup, listBackups } from '../backup-names.ts'
import { backupLines, runBackup, watchingOf } from '../backup-progress.ts'
import type { CommandContext } from '../command-context.ts'
import type { ServerApi } from '../server-api.ts'
import { table } from '../terminal.ts'
import { backupCheckCommands } from './backup-checks.ts'
import { backupCreateCommand } from './backup-create.ts'
import { backupKeyCommands } from './backup-keys.ts'
import { backupRestoreCommand } from './backup-restore.ts'

/** Backups and restores of the server, made by the server in places that it may use; for administrators. */
export function backupCommands(program: Command, context: CommandContext): void {
  const backup = program.command('backup').description('backup and restore, by the server, in places that it may use')
  backupCreateCommand(backup, context)

  backup
    .command('list')
    .description('all tasks, newest first')
    .action(async (_options: object, command: Command) => {
      const tasks = await listBackups(await context.server(command))
      context.terminal(command).show(tasks, backupTable)
    })

  backup
    .command('show <backup>')
    .description('a task and its last run, by name (the newest of it) or id')
    .action(async (named: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const task = await getBackup(server, (await backupNamed(server, named)).id)
      context.terminal(command).show(task, backupLines)
    })

  backup
    .command('run <backup>')
    .description('run a backup again and show how far it is; ends with 1 unless all of it is SUCCESS')
    .option('--no-wait', 'only start it')
    .action(async (named: string, { wait }: { wait: boolean }, command: Command) => {
      const watching = await watchingOf(context, command)
      const { server, terminal } = watching
      const id = await runnable(server, await backupNamed(server, named))
      if (wait) return runBackup(id, watching)
      await server.call('POST', `${BACKUPS}/execute/${id}`)
      terminal.show({ id }, () => [`Task ${id} has begun`])
    })

  backup
    .command('cancel <backup>')
    .description('end a run in progress')
    .action(async (named: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const { id, name } = await backupNamed(server, named)
      await server.call('POST', `${BACKUPS}/cancel/${id}`)
      context.terminal(command).show({ id }, () => [`Task ${name} is told to end`])
    })

  backup
    .command('delete <backup>')
    .description('delete a task and its records; what it made stays')
    .action(async (named: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const { id, name } = await backupNamed(server, named)
      await server.call('DELETE', `${BACKUPS}/${id}`)
      context.terminal(command).show({ id }, () => [`Deleted task ${name} (${id})`])
    })

  backupRestoreCommand(backup, context)
  backupCheckCommands(backup, context)
  backupKeyCommands(backup, context)
}

/** A task runs once, unless it is planned: what has ended is made again, the same. */
async function runnable(server: ServerApi, task: BackupInfo): Promise<string> {
  if (task.state !== 'FINISHED') return task.id
  const { name, storeLocation, type, content, backupSetting } = task
  const again = { ...backupSetting, executionStrategy: 'IMMEDIATELY', executionPlan: { executeImmediately: true } }
  return server.call('POST', BACKUPS, { name, storeLocation, type, content, backupSetting: again })
}

const backupTable = (tasks: readonly BackupInfo[]): string[] =>
  table(
    ['name', 'type', 'state', 'last run', 'started', 'next', 'location', 'id'],
    tasks.map((one) => [
      ...[one.name, one.type, one.state, one.result ?? '', one.startDate ?? '', one.nextExecutionDate ?? ''],
      ...[one.artifactLocation ?? one.storeLocation, one.id],
    ]),
  )
