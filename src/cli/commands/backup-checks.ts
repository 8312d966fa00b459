import type { Command } from 'commander'
import { type KeepOptions, retentionOf } from '../backup-body.ts'
import { BACKUPS, inPlaceOf, locationOf } from '../backup-names.ts'
import { runBackup, watchBackup, watchingOf } from '../backup-progress.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { wholeNumber } from '../whole-number.ts'
import { describeKept } from './backup-create.ts'

/** What looks after backups that are there. */
export function backupCheckCommands(backup: Command, context: CommandContext): void {
  backup
    .command('verify <location>')
    .description(
      'whether what a backup made last (its name), a run folder, zip file or snapshot, or all of a folder (with a slash, e.g. ./) is whole and readable; ends with 1 when it is not',
    )
    .option('--percent <number>', 'read this share of the contents, 0 to 100', wholeNumber, 100)
    .option('--subset <n/t>', 'read the n-th of t equal parts of the contents')
    .option('--legacy', 'take folders and zips without a manifest, as the reference makes them')
    .action(async (named: string, options: { percent: number; subset?: string; legacy?: true }, command: Command) => {
      const watching = await watchingOf(context, command)
      const { server } = watching
      const location = await locationOf(server, named)
      const { percent, subset, legacy } = options
      const body = { location, readDataPercent: percent, ...(subset && { subset }), ...(legacy && { legacy }) }
      await watchBackup(await server.call<string>('POST', `${BACKUPS}/verify`, body), watching)
    })

  describeKept(backup.command('prune <folder>'))
    .description(
      'remove runs of a folder, of all names, that no rule keeps, and contents that nothing needs; a backup by its name means the folder it stores in',
    )
    .option('--dry-run', 'only say what would go')
    .action(async (location: string, options: KeepOptions & { dryRun?: true }, command: Command) => {
      const retention = retentionOf(options)
      if (retention === undefined) throw new CliFailure('Which runs stay? Say e.g. --keep-last 7', EXIT.usage)
      await start(command, 'DATA_PRUNE', 'prune', location, { retention, dryRun: options.dryRun === true })
    })

  backup
    .command('drill <folder>')
    .description(
      'restore the newest backup of a folder into a scratch server, compare all, and read samples as clients do; a backup by its name means the folder it stores in',
    )
    .option('--percent <number>', 'compare this share of the contents, 0 to 100', wholeNumber, 100)
    .option('--cron <expression>', 'do it again and again; the result is in the metrics')
    .option('--name <name>', 'what the task is called', 'drill')
    .action(
      async (
        named: string,
        { percent, cron, name }: { percent: number; cron?: string; name: string },
        command: Command,
      ) => {
        const plan =
          cron === undefined ? {} : { executionStrategy: 'CRON_EXPRESSION', executionPlan: { cronExpression: cron } }
        await start(command, 'DATA_DRILL', name, named, { readDataPercent: percent, ...plan })
      },
    )

  async function start(command: Command, type: string, name: string, storeLocation: string, setting: object) {
    const watching = await watchingOf(context, command)
    const { server, terminal } = watching
    const body = { name, type, content: { commonData: true }, backupSetting: setting }
    const id = await inPlaceOf(server, storeLocation, (place) =>
      server.call<string>('POST', BACKUPS, { ...body, storeLocation: place }),
    )
    if ('executionPlan' in setting) return terminal.show({ id }, () => [`Made task ${name} (${id})`])
    await runBackup(id, watching)
  }
}
