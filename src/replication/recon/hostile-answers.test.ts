import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryFingerprints } from '../../../test/helpers/memory-fingerprints.ts'
import type { FingerprintRow } from '../../core/fingerprint.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import type { ReconMessage, ReconPart, RowLanes } from '../../remotes/cluster/recon/recon-message.ts'
import { readReconMessage } from '../../remotes/cluster/recon/recon-reader.ts'
import { createReconWriter, type ReconWriter } from '../../remotes/cluster/recon/recon-writer.ts'
import { NotOurProtocol } from '../../remotes/transport/failures.ts'
import { type Differences, reconcile } from './reconcile.ts'

const ROWS = 2_000
const LANES: RowLanes = { content: [1, 2, 3, 4], metadata: [5, 6, 7, 8] }
const rows = Array.from(
  { length: ROWS },
  (_, n): FingerprintRow => ({
    path: `/f${String(n).padStart(6, '0')}`,
    content: [n, 2, 3, 4],
    metadata: [0, 0, 0, 0],
  }),
)
/** Sums that nobody has. */
const sumOf = (round: number) => Buffer.alloc(16, (round % 250) + 1)

type Answer = (question: ReconMessage, writer: ReconWriter, round: number) => Buffer

/** A source with some rows, and a target that answers like this. */
async function against(answer: Answer, source = rows): Promise<{ rounds: number; found: () => Promise<Differences> }> {
  const seen = { rounds: 0 }
  const ask = async (message: Buffer) =>
    answer(await readReconMessage(message), createReconWriter('content+metadata'), seen.rounds++)
  const order = {
    ask,
    local: memoryFingerprints(source),
    scope: [EVERY_PATH],
    compared: 'content+metadata',
    ledger: [],
  } as const
  const found = reconcile(order, new AbortController().signal)
  found.catch(() => undefined)
  await Promise.allSettled([found])
  return { rounds: seen.rounds, found: () => found }
}
const saying = (why: RegExp) => (error: unknown) => error instanceof NotOurProtocol && why.test(error.message)
const another = ({ range }: ReconPart, round: number): ReconPart => ({
  mode: 'fingerprint',
  range,
  fingerprint: sumOf(round),
})

describe('answers of a target that lead nowhere', () => {
  it('given another sum of the same range to whatever is said, when reconciled, then it ends after a few rounds', async () => {
    const { rounds, found } = await against(({ parts }, writer, round) => {
      for (const part of parts) writer.add([another(part, round)])
      return writer.end()
    })
    await assert.rejects(found(), saying(/never what is/))
    assert.ok(rounds <= 8, `${rounds} rounds`)
  })

  it('given only the last list is answered with another sum, when reconciled, then it ends as well', async () => {
    const { rounds, found } = await against(({ parts }, writer, round) => {
      writer.add([another(parts.at(-1)!, round)])
      return writer.end()
    })
    await assert.rejects(found(), saying(/never what is/))
    assert.ok(rounds <= 8, `${rounds} rounds`)
  })

  it('given no room for anything, when reconciled, then it ends with the first answer', async () => {
    for (const place of ['\u0001', '!'] as const) {
      const { rounds, found } = await against((_question, writer) => writer.endPartial(place))
      await assert.rejects(found(), saying(/answered nothing/))
      assert.equal(rounds, 1)
    }
  })

  it('given a range cut into very many parts, when reconciled, then it ends with the first answer', async () => {
    const { rounds, found } = await against(({ parts }, writer, round) => {
      let lo = parts[0]!.range.lo
      for (let n = 0; n < 65; n++) {
        const hi = `/\u0001${String.fromCodePoint(0x100 + n)}`
        writer.add([{ mode: 'fingerprint', range: { lo, hi }, fingerprint: sumOf(round) }])
        lo = hi
      }
      return writer.end()
    })
    await assert.rejects(found(), saying(/more than 64 parts/))
    assert.equal(rounds, 1)
  })

  it('given ranges that get a little smaller for ever, when reconciled, then the rounds are in proportion to the rows', async () => {
    const { rounds, found } = await against(({ parts }, writer, round) => {
      const { lo } = parts[0]!.range
      writer.add([
        {
          mode: 'fingerprint',
          range: { lo: `${lo || '/'}\u0001`, hi: `${lo || '/'}\u0002` },
          fingerprint: sumOf(round),
        },
      ])
      return writer.end()
    })
    await assert.rejects(found(), saying(/lead to no end/))
    assert.ok(rounds <= 100 + ROWS / 32 + 1, `${rounds} rounds`)
  })

  it('given a question about paths, when others are answered, or some left out, then it ends', async () => {
    const [one, two] = ['/b', '/c']
    const cases = [
      { said: [one, '/bb', two], why: /not asked about/ },
      { said: [one], why: /without an answer/ },
      { said: [], why: /without an answer/ },
    ]
    for (const { said, why } of cases) {
      const { found } = await against(
        ({ parts }, writer) => {
          const { range, mode } = parts[0]!
          const ids = [one, two].map((path) => ({ path, id: Buffer.alloc(8, 1) }))
          const lanes = said.map((path) => ({ path, lanes: LANES }))
          writer.add([mode === 'question' ? { mode: 'lanes', range, rows: lanes } : { mode: 'rows', range, rows: ids }])
          return writer.end()
        },
        rows.slice(0, 10),
      )
      await assert.rejects(found(), saying(why), said.join())
    }
  })

  it('given a question whose answer is cut off, when a path before the cut was left out, then it ends', async () => {
    const { found } = await against(
      ({ parts }, writer) => {
        const { range, mode } = parts[0]!
        const ids = ['/b', '/c', '/d'].map((path) => ({ path, id: Buffer.alloc(8, 1) }))
        if (mode !== 'question') {
          writer.add([{ mode: 'rows', range, rows: ids }])
          return writer.end()
        }
        writer.add([{ mode: 'lanes', range: { lo: range.lo, hi: '/d' }, rows: [{ path: '/b', lanes: LANES }] }])
        return writer.endPartial('/d')
      },
      rows.slice(0, 10),
    )
    await assert.rejects(found(), saying(/without an answer/))
  })

  it('given rows that are gone when asked for, when reconciled, then it ends without them', async () => {
    const { rounds, found } = await against(
      ({ parts }, writer, round) => {
        for (const part of parts) {
          if (part.mode === 'question') {
            writer.add([{ mode: 'lanes', range: part.range, rows: part.paths.map((path) => ({ path, lanes: null })) }])
            continue
          }
          const foreign = Array.from({ length: 4_000 }, (_, n) => `/\u0001${round}${String.fromCodePoint(0x4e00 + n)}`)
          writer.add([
            { mode: 'rows', range: part.range, rows: foreign.map((path) => ({ path, id: Buffer.alloc(8) })) },
          ])
        }
        return writer.end()
      },
      rows.slice(0, 10),
    )
    const { foreign, missingRanges, missing } = await found()
    assert.deepEqual([foreign.length, missingRanges.length + missing.length > 0, rounds <= 3], [0, true, true])
  })
})
