import type { Command } from 'commander'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import type { ServerApi } from '../server-api.ts'
import { bytesText, fields, table } from '../terminal.ts'
import { progressBar } from '../transfer-progress.ts'

interface ScrubRun {
  readonly id: number
  readonly endTime: string | null
  readonly bytes: number
  readonly totalBytes: number
  readonly blobs: number
  readonly damaged: number
  readonly missing: number
}
interface Finding {
  readonly sha256: string
  readonly kind: string
  readonly size: number
  readonly healed: boolean
  readonly files: readonly string[]
}
interface Collection {
  readonly startTime: string
  readonly endTime: string
  readonly purgedNodes: number
  readonly deletedBlobs: number
  readonly freedBytes: number
}

const PATH = '/repository/api/storage'
const POLL_MS = 500

/** `entrepot scrub` and `entrepot gc`. */
export function storageCommands(program: Command, context: CommandContext): void {
  const { clock, signal } = context

  program
    .command('scrub')
    .description('have the server read all stored bytes again and compare them with their digests')
    .option('--no-wait', 'only begin it')
    .action(async ({ wait }: { wait: boolean }, command: Command) => {
      const server = await context.server(command)
      const terminal = context.terminal(command)
      let run = await server.call<ScrubRun>('POST', `${PATH}/scrub`)
      if (!wait) return terminal.show(run, ({ id }) => [`Scrub ${id} has begun`])
      const bar = progressBar(terminal, 'Reading', run.totalBytes, 'bytes')
      try {
        for (let before = 0; run.endTime === null; before = run.bytes) {
          bar.advance(run.bytes - before)
          await clock.sleep(POLL_MS, signal)
          run = await server.call<ScrubRun>('GET', `${PATH}/scrub`)
        }
      } finally {
        bar.end()
      }
      const findings = await openFindings(server)
      terminal.show({ ...run, findings }, () => [
        `Read ${run.blobs} blobs, ${bytesText(run.bytes)}: ${run.damaged} damaged, ${run.missing} missing`,
        ...(findings.length === 0 ? [] : ['', ...findingTable(findings)]),
      ])
      if (run.damaged + run.missing > 0) {
        throw new CliFailure('Stored bytes are wrong or gone: upload the files again, or restore a backup', EXIT.failed)
      }
    })

  program
    .command('gc')
    .description('have the server remove bytes that nothing refers to')
    .option('--no-wait', 'only begin it')
    .action(async ({ wait }: { wait: boolean }, command: Command) => {
      const server = await context.server(command)
      const terminal = context.terminal(command)
      const reports = () => server.call<Collection[]>('GET', `${PATH}/gc`)
      const before = (await reports())[0]
      await server.call('POST', `${PATH}/gc`)
      if (!wait) return terminal.show({ begun: true }, () => ['The collection has begun'])
      terminal.note('Collecting …')
      for (;;) {
        const newest = (await reports())[0]
        if (newest !== undefined && newest.endTime !== before?.endTime) {
          return terminal.show(newest, (report) => fields({ ...report, freedBytes: bytesText(report.freedBytes) }))
        }
        await clock.sleep(POLL_MS, signal)
      }
    })
}

async function openFindings(server: ServerApi): Promise<Finding[]> {
  const { records } = await server.call<{ records: Finding[] }>('GET', `${PATH}/findings?pageSize=100`)
  return records.filter(({ healed }) => !healed)
}

const findingTable = (findings: readonly Finding[]): string[] =>
  table(
    ['sha256', 'what', 'size', 'files'],
    findings.map(({ sha256, kind, size, files }) => [sha256, kind.toLowerCase(), bytesText(size), files.join(' ')]),
  )
