import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { AppError } from '../../src/core/errors.ts'
import { packBundle } from '../../src/remotes/cluster/frames/bundle.ts'
import { encodeFrame } from '../../src/remotes/cluster/frames/frame-encoder.ts'
import { readSourceFrames, readTargetFrames } from '../../src/remotes/cluster/frames/frame-reader.ts'
import { readReconMessage } from '../../src/remotes/cluster/recon/recon-reader.ts'
import { createReconWriter } from '../../src/remotes/cluster/recon/recon-writer.ts'
import { anyFrame, entryOf } from '../helpers/frames.ts'

const INPUTS = Number(process.env.ENTREPOT_TEST_FUZZ_INPUTS ?? 1_000_000)
const SEED = Number(process.env.ENTREPOT_TEST_FUZZ_SEED ?? randomInt(1, 2 ** 31))
const MORE_MEMORY_BYTES = 128 * 1024 * 1024
/** Far above what the largest of the inputs takes on a busy machine. */
const LONGEST_MS = 2_000
const PER_TURN = 500

/** Most inputs end in an error: its stack is the dearest part of it. */
Error.stackTraceLimit = 0

/** xorshift32: fast, and the same for the same seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed | 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** One to four changes: a bit, a byte, a run of one byte, a piece cut out, a piece twice, the end cut off, a piece of another input. */
function mutated(bytes: Buffer, other: Buffer, below: (n: number) => number): Buffer {
  let result = Buffer.from(bytes)
  for (let changes = 1 + below(4); changes > 0 && result.length > 0; changes--) {
    const at = below(result.length)
    const length = Math.min(1 + below(24), result.length - at)
    switch (below(7)) {
      case 0:
        result[at] = result[at]! ^ (1 << below(8))
        break
      case 1:
        result[at] = below(256)
        break
      case 2:
        result.fill([0, 0x7f, 0x80, 0xff][below(4)]!, at, at + length)
        break
      case 3:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)])
        break
      case 4:
        result = Buffer.concat([result.subarray(0, at + length), result.subarray(at)])
        break
      case 5:
        result = result.subarray(0, at)
        break
      default:
        result = Buffer.concat([result.subarray(0, at), other.subarray(below(other.length))])
    }
  }
  return result
}

/** Feeds changed inputs to `read`, which may only return or refuse. */
async function fuzz(
  name: string,
  inputs: readonly Buffer[],
  count: number,
  read: (bytes: Buffer) => unknown,
): Promise<void> {
  const below = randomNumbers(SEED)
  const pick = () => inputs[below(inputs.length)]!
  let before = 0
  let refused = 0
  for (let n = 0; n < count; n++) {
    const bytes = mutated(pick(), pick(), below)
    const from = performance.now()
    try {
      const pending = read(bytes)
      if (pending instanceof Promise) await pending
    } catch (error) {
      const about = `${name}, seed ${SEED}, input ${n}: ${bytes.toString('hex').slice(0, 2_000)}`
      assert.ok(error instanceof AppError, `${about}: ${error instanceof Error ? error.stack : error}`)
      refused++
    }
    assert.ok(performance.now() - from < LONGEST_MS, `${name}, seed ${SEED}, input ${n} took too long`)
    if (n % PER_TURN === 0) await setImmediate()
    // What the first inputs take is the memory of code and heap, not of what they claim.
    if (n === Math.floor(count / 10)) before = process.memoryUsage().rss
  }
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < MORE_MEMORY_BYTES, `${name}: ${grown} bytes more`)
  assert.ok(refused > count / 20, `${name}: only ${refused} of ${count} were refused`)
}

const frames = fc.sample(anyFrame, { numRuns: 300, seed: SEED })
const encoded = frames.map((frame) => encodeFrame(frame))
const sourceItems = (from: number) => Array.from({ length: 10 }, (_, index) => encodeFrame(entryOf(from + index)))

describe('changed bytes', () => {
  it('given frames and sequences of them with bytes changed, when read, then each is read or refused, and no memory stays', async () => {
    const sequences = Array.from({ length: 50 }, (_, n) =>
      Buffer.concat([...sourceItems(n), ...encoded.slice(n, n + 3)]),
    )
    await fuzz('frames', [...encoded, ...sequences], Math.floor(INPUTS * 0.7), (bytes) => {
      const reader = bytes.length % 3 === 0 ? readTargetFrames() : readSourceFrames(65_536)
      const cut = bytes.length >> 1
      reader.push(bytes.subarray(0, cut))
      reader.push(bytes.subarray(cut))
      reader.end()
    })
  })

  it('given bundles with bytes changed, when read, then each is read or refused, and no memory stays', async () => {
    const bundles = Array.from({ length: 50 }, (_, n) => packBundle(Buffer.concat(sourceItems(n))))
    await fuzz('bundles', bundles, Math.floor(INPUTS * 0.05), (bytes) => {
      const reader = readSourceFrames(65_536)
      reader.push(bytes)
      reader.end()
    })
  })

  it('given messages of the reconciliation with bytes changed, when read, then each is read or refused, and no memory stays', async () => {
    const below = randomNumbers(SEED)
    const messages = Array.from({ length: 100 }, (_, n) => messageOf(n, below))
    await fuzz('reconciliation', messages, Math.floor(INPUTS * 0.25), (bytes) => readReconMessage(bytes))
  })
})

/** Ranges of every mode. */
function messageOf(n: number, below: (n: number) => number): Buffer {
  const writer = createReconWriter(n % 2 === 0 ? 'content' : 'content+metadata')
  const path = (index: number) => `/folder-${String(index).padStart(4, '0')}/file-${n}`
  const lanes = () => [below(1_000), -below(1_000), below(2), 0] as const
  for (let at = 0; at < 20; at++) {
    const range = { lo: path(10 * at), hi: path(10 * at + 9) }
    const inside = [1, 2, 3].map((index) => path(10 * at + index))
    const rows = inside.map((one) => ({ path: one, id: Buffer.alloc(8, below(256)) }))
    const standing = inside.map((one) => ({ path: one, lanes: { content: lanes(), metadata: lanes() } }))
    const parts = [
      { mode: 'fingerprint', range, fingerprint: Buffer.alloc(16, below(256)) },
      { mode: 'rows', range, rows },
      { mode: 'empty', range },
      { mode: 'question', range, paths: inside },
      { mode: 'lanes', range, rows: standing },
    ] as const
    writer.add([parts[below(parts.length)]!])
  }
  return writer.end()
}
