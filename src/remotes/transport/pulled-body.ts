import type { Writable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import type { PullSource } from '../../core/pull-source.ts'

/** How a connection took a body, from its first write on. */
export interface BodyPace {
  readonly bytes: number
  /** While it took nothing more. */
  readonly blockedMs: number
  readonly elapsedMs: number
}

/** Of each buffer: one is filled while the other goes out. */
const BUFFER_BYTES = 256 * 1024

/**
 * Writes all that comes, ends the stream and disposes the source. Its buffers are used again once the connection has taken them. Rejects
 * when the stream breaks.
 */
export async function writePulled(
  source: PullSource,
  to: Writable,
  clock: Pick<Clock, 'now'>,
  signal: AbortSignal,
): Promise<BodyPace> {
  await using pulled = source
  let bytes = 0
  let blockedMs = 0
  let from: number | undefined
  const slots = [0, 1].map(() => ({ buffer: Buffer.allocUnsafeSlow(BUFFER_BYTES), taken: Promise.resolve() }))
  const isFree = async ({ taken }: (typeof slots)[number]) => {
    const asked = clock.now()
    await taken
    const now = clock.now()
    // Until the first bytes were taken it may have waited for a connection.
    if (from !== undefined) blockedMs += now - asked
  }
  for (let turn = 0; ; turn ^= 1) {
    const slot = slots[turn]!
    await isFree(slot)
    const length = await pulled.read(slot.buffer, signal)
    if (length === 0) break
    bytes += length
    slot.taken = written(to, slot.buffer.subarray(0, length)).then(() => {
      from ??= clock.now()
    })
    // Heard when its turn comes, or never, when the reading fails first.
    slot.taken.catch(() => undefined)
  }
  for (const slot of slots) await isFree(slot)
  to.end()
  return { bytes, blockedMs, elapsedMs: from === undefined ? 0 : clock.now() - from }
}

function written(to: Writable, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    to.write(chunk, (error) => (error ? reject(error) : resolve()))
  })
}
