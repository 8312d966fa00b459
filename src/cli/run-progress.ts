import { Presets, SingleBar } from 'cli-progress'
import type { Clock } from '../core/clock.ts'
import { CliFailure, EXIT } from './cli-failure.ts'
import type { ServerApi } from './server-api.ts'
import { TASKS } from './task-names.ts'
import { bytesText, fields, type Terminal } from './terminal.ts'

/** One run of a task, as the server shows it. */
export interface RecordInfo {
  readonly id: string
  readonly taskKey: string
  readonly status: 'RUNNING' | 'SUCCESS' | 'FAILED'
  /** `2026-11-21T01:30:00.123`, no zone. */
  readonly startTime: string
  readonly endTime: string | null
  readonly errorReason: string | null
  readonly replicatedBytes: number
  readonly totalBytes: number
  readonly replicaOverview: Overview | null
  /** How the run stands with each target. */
  readonly links?: readonly RunLink[]
}
interface RunLink {
  readonly remoteCluster: string
  readonly localRepoName: string
  readonly reason: string | null
  readonly downSince: string | null
}
/** Files of a run, by what became of them. */
export interface Overview {
  readonly success: number
  readonly skip: number
  readonly failed: number
  readonly conflict: number
}

const POLL_MS = 500

export async function getRecord(server: ServerApi, recordId: string): Promise<RecordInfo> {
  const path = `${TASKS}/record/${encodeURIComponent(recordId)}`
  const { record, links } = await server.call<{ record: RecordInfo; links: readonly RunLink[] }>('GET', path)
  return { ...record, links }
}

/** What a run waits for, a line for each link of it. */
export function waitsOf({ status, links = [] }: Pick<RecordInfo, 'status' | 'links'>): string[] {
  if (status !== 'RUNNING') return []
  return links.flatMap(({ remoteCluster, localRepoName, reason, downSince }) => {
    const since = downSince === null ? '' : `, no answer since ${downSince}`
    return reason === null ? [] : [`${remoteCluster} (${localRepoName}): ${reason}${since}`]
  })
}

/** Shows how far a run is until its end. @throws AbortError of the signal: the run itself goes on. */
export async function watchRun(
  server: ServerApi,
  recordId: string,
  terminal: Terminal,
  clock: Clock,
  signal: AbortSignal,
): Promise<RecordInfo> {
  return watchRecord(() => getRecord(server, recordId), `entrepot record watch ${recordId}`, terminal, clock, signal)
}

/** As `watchRun`, of what `read` gives. @param again the command that shows it again. */
export async function watchRecord(
  read: () => Promise<RecordInfo>,
  again: string,
  terminal: Terminal,
  clock: Clock,
  signal: AbortSignal,
): Promise<RecordInfo> {
  const bar = runBar(terminal)
  const told = new Set<string>()
  try {
    for (;;) {
      const record = await read()
      bar.show(record)
      for (const wait of waitsOf(record)) {
        if (!told.has(wait)) terminal.note(`Waits for ${wait}`)
        told.add(wait)
      }
      if (record.status !== 'RUNNING') return record
      await clock.sleep(POLL_MS, signal)
    }
  } finally {
    bar.end()
    if (signal.aborted) terminal.note(`The run goes on; to see it again: ${again}`)
  }
}

function runBar(terminal: Terminal): { show(record: RecordInfo): void; end(): void } {
  if (terminal.screen === undefined) return { show: () => {}, end: () => {} }
  const bar = new SingleBar(
    {
      stream: terminal.screen as NodeJS.WritableStream,
      hideCursor: true,
      format: '{status} {bar} {text}',
    },
    Presets.shades_classic,
  )
  bar.start(1, 0, { status: 'RUNNING', text: '' })
  return {
    show(record) {
      const { status, replicatedBytes, totalBytes } = record
      // How much there is is known once it is planned, and is a guess until the end.
      bar.setTotal(Math.max(totalBytes, replicatedBytes, 1))
      const amount = `${bytesText(replicatedBytes)} of ${bytesText(Math.max(totalBytes, replicatedBytes))}`
      const done = status === 'RUNNING' ? replicatedBytes : bar.getTotal()
      bar.update(done, { status, text: `${amount}, ${countsText(record)}` })
    },
    end: () => bar.stop(),
  }
}

/** `3 copied, 5 unchanged, 1 failed`. */
export function countsText({ replicaOverview }: Pick<RecordInfo, 'replicaOverview'>): string {
  if (replicaOverview === null) return 'not counted'
  const { success, skip, failed, conflict } = replicaOverview
  const parts = [`${success} copied`, `${skip} left as they are`]
  if (failed > 0) parts.push(`${failed} failed`)
  if (conflict > 0) parts.push(`${conflict} in conflict`)
  return parts.join(', ')
}

/** A run for people. */
export function recordLines(record: RecordInfo): string[] {
  const { id, status, startTime, endTime, errorReason, replicatedBytes } = record
  const waits = waitsOf(record)
  return fields({
    run: id,
    status,
    started: startTime,
    ended: endTime,
    artifacts: countsText(record),
    sent: bytesText(replicatedBytes),
    ...(errorReason === null ? {} : { reason: errorReason.replaceAll('\n', '; ') }),
    ...(waits.length === 0 ? {} : { 'waits for': waits.join('; ') }),
  })
}

/** Ends the command with 1 when a run is FAILED. */
export function refuseFailed({ status, errorReason }: RecordInfo): void {
  if (status === 'FAILED') throw new CliFailure(`The run FAILED: ${errorReason ?? 'see its details'}`, EXIT.failed)
}
