import type { Command } from 'commander'
import { type KeepOptions, retentionOf } from '../backup-body.ts'
import { BACKUPS, locationOf } from '../backup-names.ts'
import { runBackup, watchBackup, watchingOf } from '../backup-progress.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { wholeNumber } from '../whole-number.ts'
import { describeKept } from './backup-create.ts'

/** What looks after backups that are there. */
export function backupCheckCommands(backup: Command, context: CommandContext): void {
  backup
    .command('verify <location>')
    .description('whether a backup is whole and readable; ends with 1 when it is not')
    .option('--percent <number>', 'read this share of the contents, 0 to 100', wholeNumber, 100)
    .option('--subset <n/t>', 'read the n-th of t equal parts of the contents')
    .action(async (named: string, options: { percent: number; subset?: string }, command: Command) => {
      const watching = await watchingOf(context, command)
      const { server } = watching
      const location = await locationOf(server, named)
      const body = { location, readDataPercent: options.percent, ...(options.subset && { subset: options.subset }) }
      await watchBackup(await server.call<string>('POST', `${BACKUPS}/verify`, body), watching)
    })

  describeKept(backup.command('prune <location>'))
    .description('remove runs of a place that no rule keeps, and contents that nothing needs')
    .option('--dry-run', 'only say what would go')
    .action(async (location: string, options: KeepOptions & { dryRun?: true }, command: Command) => {
      const retention = retentionOf(options)
      if (retention === undefined) throw new CliFailure('Which runs stay? Say e.g. --keep-last 7', EXIT.usage)
      await start(command, 'DATA_PRUNE', 'prune', location, { retention, dryRun: options.dryRun === true })
    })

  backup
    .command('drill <location>')
    .description(
      'restore the newest backup of a place into a scratch server, compare all, and read samples as clients do',
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
    const body = { name, type, storeLocation, content: { commonData: true }, backupSetting: setting }
    const id = await server.call<string>('POST', BACKUPS, body)
    if ('executionPlan' in setting) return terminal.show({ id }, () => [`Made task ${name} (${id})`])
    await runBackup(id, watching)
  }
}
