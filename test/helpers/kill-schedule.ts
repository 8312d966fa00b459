import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/core/ids.ts'
import type { SeenRequest } from './faulty-proxy.ts'

/** A moment in a run, by what has passed from the source to the target: bytes of small files, or of large ones. */
export interface ScheduledKill {
  readonly victim: 'a' | 'b'
  readonly kind: 'small' | 'large'
  readonly atBytes: number
  /** After the bytes have come: batches, commits and acknowledgements that follow them are met at any stage. */
  readonly afterMs: number
}

const LONGEST_AFTER_MS = 40

/**
 * `count` moments, half of them while small files travel and half while large ones do, one at random in each equal part of the
 * bytes, victims in turns.
 */
export function scheduleKills(
  count: number,
  bytes: Readonly<Record<ScheduledKill['kind'], number>>,
  random: Random,
): ScheduledKill[] {
  const kinds = { small: Math.ceil(count / 2), large: Math.floor(count / 2) }
  return (['small', 'large'] as const).flatMap((kind) =>
    Array.from(
      { length: kinds[kind] },
      (_, part): ScheduledKill => ({
        victim: (part + (kind === 'small' ? 0 : 1)) % 2 === 0 ? 'a' : 'b',
        kind,
        atBytes: Math.floor(((part + random.next()) / kinds[kind]) * bytes[kind]),
        afterMs: Math.floor(random.next() * LONGEST_AFTER_MS),
      }),
    ),
  )
}

/** What has passed so far. At each moment of the schedule nothing more passes until the kill is over. */
export interface PassedBytes {
  /** Of a request's body; they may pass when what this gives has resolved. */
  note(request: SeenRequest, bytes: number): Promise<void> | undefined
  total(): number
  /** Resolves when the next kill is due, each in its turn; undefined once `stop` aborts. */
  nextKill(stop: AbortSignal): Promise<ScheduledKill | undefined>
  /** It has happened: bytes may pass, up to the next one. */
  over(): void
}

export function passedBytes(schedule: readonly ScheduledKill[]): PassedBytes {
  const left = [...schedule]
  const passed = { small: 0, large: 0 }
  let due = Promise.withResolvers<ScheduledKill | undefined>()
  let gate: PromiseWithResolvers<void> | undefined
  return {
    note({ path }, bytes) {
      passed[path.includes('/uploads/') ? 'large' : 'small'] += bytes
      if (gate !== undefined) return gate.promise
      const at = left.findIndex(({ kind, atBytes }) => passed[kind] >= atBytes)
      if (at < 0) return undefined
      gate = Promise.withResolvers()
      due.resolve(left.splice(at, 1)[0]!)
      return gate.promise
    },
    total: () => passed.small + passed.large,
    async nextKill(stop) {
      const stopped = Promise.withResolvers<undefined>()
      stop.addEventListener('abort', () => stopped.resolve(undefined), { once: true })
      const kill = await Promise.race([due.promise, stopped.promise])
      if (kill !== undefined) await sleep(kill.afterMs)
      return kill
    },
    over() {
      due = Promise.withResolvers()
      const opened = gate
      gate = undefined
      opened?.resolve()
    },
  }
}
