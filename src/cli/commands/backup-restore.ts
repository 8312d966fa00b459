import type { Command } from 'commander'
import { type RestoreOptions, restoreBody } from '../backup-body.ts'
import { BACKUPS, locationOf } from '../backup-names.ts'
import { runBackup, watchingOf } from '../backup-progress.ts'
import type { CommandContext } from '../command-context.ts'
import { describeSelected } from './backup-create.ts'

export function backupRestoreCommand(backup: Command, context: CommandContext): void {
  describeSelected(backup.command('restore <location>'))
    .description('put back what a backup made last (its name), or a run folder, zip file or snapshot')
    .option('--skip', 'leave what is there as it is, instead of replacing it')
    .option('--dry-run', 'read and check everything, say what would be done, change nothing')
    .option('--into <project>', 'one project, under this name')
    .option('--credentials', 'passwords and admin flags of users that are there, too')
    .option('--legacy', 'take folders without a manifest, as the reference makes them')
    .option('--error <strategy>', 'CONTINUE (default) or FAST_FAIL')
    .option('--name <name>', 'what the task is called', 'restore')
    .action(async (named: string, { name, ...options }: RestoreOptions & { name: string }, command: Command) => {
      const watching = await watchingOf(context, command)
      const { server } = watching
      const body = restoreBody(name, await locationOf(server, named), options)
      await runBackup(await server.call<string>('POST', BACKUPS, body), watching)
    })
}
