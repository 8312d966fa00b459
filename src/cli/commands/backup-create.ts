import type { Command } from 'commander'
import { type CreateOptions, createBody, type KeepOptions } from '../backup-body.ts'
import { BACKUPS, getBackup } from '../backup-names.ts'
import { backupLines, runBackup, watchingOf } from '../backup-progress.ts'
import type { CommandContext } from '../command-context.ts'
import { wholeNumber } from '../whole-number.ts'

const several = (value: string, all: readonly string[]): string[] => [...all, value]

export function backupCreateCommand(backup: Command, context: CommandContext): void {
  const create = describeKept(
    describeSelected(backup.command('create <name>'))
      .description('back up; without --cron, --at and --off it runs at once and is shown until its end')
      .option('--to <folder>', 'where to, on the server; a relative one lies below its first allowed root', '.')
      .option('--zip', 'one zip file, for any program that reads zip')
      .option('--repository', 'de-duplicating repository: what is there already is not written again')
      .option('--compress', 'in a repository: what gains by it')
      .option('--since [date]', 'only what changed since then; without a date, since a day before each run')
      .option('--cron <expression>', 'run again and again: Quartz, or 5 fields of Unix')
      .option('--at <date>', 'run once at this time, e.g. 2026-12-01T02:00:00')
      .option('--error <strategy>', 'CONTINUE (default) or FAST_FAIL')
      .option('--rate <bytes>', 'at most so many bytes a second', wholeNumber)
      .option('--no-space', 'do not mind how full the place is')
      .option('--off', 'only make the task'),
  )
  create.action(async (name: string, options: CreateOptions & KeepOptions & { off?: true }, command: Command) => {
    const watching = await watchingOf(context, command)
    const { server, terminal } = watching
    const id = await server.call<string>('POST', BACKUPS, createBody(name, options))
    const runs = options.off !== true && options.cron === undefined && options.at === undefined
    if (runs) return runBackup(id, watching)
    terminal.show(await getBackup(server, id), backupLines)
  })
}

/** Which repositories. */
export function describeSelected(command: Command): Command {
  return command
    .option('--only <project[/repository]>', 'only these, by name or pattern; may be said again', several, [])
    .option('--common', 'users, roles, permissions, accounts, clusters and tasks, too')
    .option('--no-common', 'without them; they belong to a backup of everything')
}

/** What is kept of earlier runs. */
export function describeKept(command: Command): Command {
  return command
    .option('--keep-last <number>', 'keep the newest so many', wholeNumber)
    .option('--keep-daily <number>', 'keep the newest of each of so many days', wholeNumber)
    .option('--keep-weekly <number>', '… weeks', wholeNumber)
    .option('--keep-monthly <number>', '… months', wholeNumber)
    .option('--keep-yearly <number>', '… years', wholeNumber)
    .option('--keep-within <duration>', 'keep all of the last e.g. 30d or 12h')
}
