import { Presets, SingleBar } from 'cli-progress'
import type { Command } from 'commander'
import type { Clock } from '../core/clock.ts'
import { BACKUPS, type BackupInfo, type BackupProgress, getBackup } from './backup-names.ts'
import { reportLines } from './backup-report.ts'
import { CliFailure, EXIT } from './cli-failure.ts'
import type { CommandContext } from './command-context.ts'
import type { ServerApi } from './server-api.ts'
import { bytesText, fields, type Terminal } from './terminal.ts'

export interface Watching {
  readonly server: ServerApi
  readonly terminal: Terminal
  readonly clock: Clock
  readonly signal: AbortSignal
}

export const watchingOf = async (context: CommandContext, command: Command): Promise<Watching> => ({
  server: await context.server(command),
  terminal: context.terminal(command),
  clock: context.clock,
  signal: context.signal,
})

const POLL_MS = 500

/** Starts the run of a task and shows how far it is until its end. @throws CliFailure when it is FAILED, and when contents are missing. */
export async function runBackup(id: string, watching: Watching): Promise<void> {
  await watching.server.call('POST', `${BACKUPS}/execute/${encodeURIComponent(id)}`)
  await watchBackup(id, watching)
}

/** As `runBackup`, of a run that goes on already. */
export async function watchBackup(id: string, { server, terminal, clock, signal }: Watching): Promise<void> {
  const bar = progressBar(terminal)
  try {
    for (;;) {
      const task = await getBackup(server, id)
      if (task.progress) bar.show(task.progress, task.type)
      if (task.state !== 'RUNNING') {
        bar.end()
        terminal.show(task, backupLines)
        return refuseWrong(task)
      }
      await clock.sleep(POLL_MS, signal)
    }
  } finally {
    bar.end()
    if (signal.aborted) terminal.note(`It goes on; to see it again: entrepot backup show ${id}`)
  }
}

function progressBar(terminal: Terminal): { show(progress: BackupProgress, type: string): void; end(): void } {
  if (terminal.screen === undefined) return { show: () => {}, end: () => {} }
  const stream = terminal.screen as NodeJS.WritableStream
  const bar = new SingleBar({ stream, hideCursor: true, format: '{phase} {bar} {text}' }, Presets.shades_classic)
  bar.start(1, 0, { phase: '', text: '' })
  return {
    show(progress, type) {
      const { phase, bytes, totalBytes, etaSeconds } = progress
      bar.setTotal(Math.max(totalBytes ?? 0, bytes, 1))
      const eta = etaSeconds === null ? '' : `, ${etaSeconds} s left`
      bar.update(bytes, { phase, text: `${bytesText(bytes)}, ${countsOf(progress, type)}${eta}` })
    },
    end: () => bar.stop(),
  }
}

/** @param type what is counted has its own name where no files are. */
function countsOf({ nodes, versions, success, failed, skipped }: BackupProgress, type: string): string {
  const parts =
    type === 'DATA_VERIFY'
      ? [`${nodes} objects`]
      : type === 'DATA_PRUNE'
        ? [`${success} runs removed`]
        : [`${nodes} files`]
  if (versions > 0) parts.push(`${versions} versions`)
  if (skipped > 0) parts.push(`${skipped} left as they are`)
  if (failed > 0) parts.push(`${failed} failed`)
  return parts.join(', ')
}

/** A task that waits for its next time tells of the run before. */
function stateFields({ state, result }: BackupInfo): Readonly<Record<string, string>> {
  if (result === null) return { state }
  return state === 'FINISHED' ? { state: `${state}, ${result}` } : { state, 'last run': result }
}

/** A task and its last run, for people. */
export function backupLines(task: BackupInfo): string[] {
  const { progress, artifactLocation, errorReason, nextExecutionDate } = task
  return [
    ...fields({
      task: `${task.name} (${task.id})`,
      type: task.type,
      ...stateFields(task),
      location: task.storeLocation,
      ...(artifactLocation === null ? {} : { made: artifactLocation }),
      started: task.startDate,
      ended: task.endDate,
      ...(nextExecutionDate ? { 'next run': nextExecutionDate } : {}),
      ...(progress ? { done: `${bytesText(progress.bytes)}, ${countsOf(progress, task.type)}` } : {}),
      ...(errorReason === null ? {} : { reason: errorReason.replaceAll('\n', '; ') }),
    }),
    ...reportLines(task),
  ]
}

/** Ends the command with 1 when the last run is not what was asked for. */
function refuseWrong({ result, errorReason, type }: BackupInfo): void {
  if (result === 'FAILED') throw new CliFailure(`It FAILED: ${errorReason ?? 'no reason is known'}`, EXIT.failed)
  if (result === 'CANCELLED') throw new CliFailure('It was cancelled', EXIT.failed)
  if (result === 'PARTIAL') {
    const what = type === 'DATA_BACKUP' ? 'The backup is not whole' : 'Not all could be done'
    throw new CliFailure(`${what}: ${errorReason ?? 'see its errors'}`, EXIT.failed)
  }
}
