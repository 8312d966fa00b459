import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { AppError, hasCode } from '../../../core/errors.ts'
import type { ComparedLanes } from '../../../core/fingerprint.ts'
import { comparePaths } from '../../../core/paths.ts'
import { MAX_MESSAGE_BYTES, MAX_PATH_BYTES_IN_ALL, type ReconPart } from './recon-message.ts'
import { readReconMessage } from './recon-reader.ts'
import { createReconWriter } from './recon-writer.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map((it) => Buffer.from(it))
const lane = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const lanes = fc.tuple(lane, lane, lane, lane)
const standing = fc.option(fc.record({ content: lanes, metadata: lanes }, { noNullPrototype: true }))
const path = fc
  .array(fc.constantFrom('/', 'a', 'b', 'é', '\uffee', '😀', '😁', '\u0001', 'x'.repeat(200)), {
    minLength: 1,
    maxLength: 8,
  })
  .map((parts) => `/${parts.join('')}`)
const mode = fc.constantFrom<ReconPart['mode']>('fingerprint', 'rows', 'empty', 'question', 'lanes')

/** Ranges between any paths, with the paths between their bounds as payload; some are left out. */
const parts = fc
  .tuple(
    fc.uniqueArray(path, { maxLength: 40 }),
    fc.infiniteStream(fc.tuple(mode, fc.nat({ max: 5 }), bytes(16), standing)),
    fc.boolean(),
  )
  .map(([paths, details, isOpen]) => {
    const sorted = paths.sort(comparePaths)
    const made: ReconPart[] = []
    let at = 0
    while (at < sorted.length) {
      const [kind, count, fingerprint, row] = details.next().value
      const [lo, inside] = [sorted[at]!, sorted.slice(at, at + count)]
      at += Math.max(1, count)
      const hi = sorted[at] ?? null
      if (hi === null && !isOpen) break
      const range = { lo, hi }
      if (kind === 'empty') made.push({ mode: kind, range })
      else if (kind === 'fingerprint') made.push({ mode: kind, range, fingerprint })
      else if (kind === 'question') made.push({ mode: kind, range, paths: inside })
      else if (kind === 'lanes')
        made.push({ mode: kind, range, rows: inside.map((one) => ({ path: one, lanes: row })) })
      else if (count % 2 === 0) {
        made.push({ mode: kind, range, rows: inside.map((one) => ({ path: one, id: fingerprint.subarray(8) })) })
      }
    }
    return made
  })
const compared = fc.constantFrom<ComparedLanes>('content', 'content+metadata')

function written(some: readonly ReconPart[], what: ComparedLanes = 'content'): Buffer {
  const writer = createReconWriter(what)
  assert.ok(writer.add(some))
  return writer.end()
}
async function refused(message: Buffer): Promise<boolean> {
  try {
    await readReconMessage(message)
    return false
  } catch (error) {
    assert.ok(error instanceof AppError, String(error))
    assert.ok(hasCode(error, 'REQUEST_CONTENT_INVALID', 'CLUSTER_VERSION_UNSUPPORTED'), error.code)
    return true
  }
}

const FINGERPRINT = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
/** One of each mode, a gap, a path outside of the basic plane, and the end of all paths. */
const EXAMPLE: readonly ReconPart[] = [
  { mode: 'fingerprint', range: { lo: '/', hi: '/com/a' }, fingerprint: FINGERPRINT },
  {
    mode: 'rows',
    range: { lo: '/com/a', hi: '/com/b' },
    rows: [
      { path: '/com/a', id: FINGERPRINT.subarray(0, 8) },
      { path: '/com/a/1', id: FINGERPRINT.subarray(8) },
    ],
  },
  { mode: 'empty', range: { lo: '/com/c', hi: '/com/d' } },
  { mode: 'question', range: { lo: '/com/d', hi: '/d' }, paths: ['/com/é', '/com/😀'] },
  {
    mode: 'lanes',
    range: { lo: '/d', hi: null },
    rows: [
      { path: '/e', lanes: null },
      { path: '/f', lanes: { content: [1, -1, 2, -2], metadata: [2 ** 31 - 1, -(2 ** 31), 0, 255] } },
    ],
  },
]
/** Fixed: clusters in the field speak it. */
const EXAMPLE_BYTES = [
  '0101', // version, flags
  '0000012f', // equal up to `/`
  '01000102030405060708090a0b0c0d0e0f0105636f6d2f61', // fingerprint up to `/com/a`
  '0202060000010203040506070602' + '2f3108090a0b0c0d0e0f' + '050162', // rows `/com/a`, `/com/a/1`, up to `/com/b`
  '00050163', // equal up to `/com/c`
  '03050164', // empty up to `/com/d`
  '04020502c3a90504f09f9880010164', // question about `/com/é`, `/com/😀`, up to `/d`
  '050201016500' + '01016601' + '00000001ffffffff00000002fffffffe' + '7fffffff8000000000000000000000ff' + '0000', // lanes, to the end
].join('')

describe('messages of reconciliation', () => {
  it('given one range of each mode, when written, then the bytes are those of version 1', async () => {
    assert.equal(written(EXAMPLE, 'content+metadata').toString('hex'), EXAMPLE_BYTES)
    const read = await readReconMessage(Buffer.from(EXAMPLE_BYTES, 'hex'))
    assert.deepEqual(read, { compared: 'content+metadata', partial: false, reached: null, parts: EXAMPLE })
  })
  it('given any ranges, when written and read, then they come back', async () => {
    await fc.assert(
      fc.asyncProperty(parts, compared, async (some, what) => {
        const { parts: read, ...rest } = await readReconMessage(written(some, what))
        assert.deepEqual(read, some)
        assert.deepEqual(rest, {
          compared: what,
          partial: false,
          reached: some.length === 0 ? '' : some.at(-1)!.range.hi,
        })
      }),
    )
  })
  it('given a message that is cut off anywhere, when read, then it is refused or ends at a range', async () => {
    const whole = written(EXAMPLE)
    const ends = new Set<number>()
    for (let length = 0; length < whole.length; length++)
      if (!(await refused(whole.subarray(0, length)))) ends.add(length)
    assert.equal(ends.size, EXAMPLE.length + 2)
  })
  it('given any bytes, or a message with some changed, when read, then it is read or refused, and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(
        parts,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
        async (some, changes) => {
          const message = written(some)
          for (const [at, value] of changes) message[at % message.length] = value
          await refused(message)
        },
      ),
      { numRuns: 300 },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        async (noise) => void (await refused(Buffer.from([1, 0, ...noise]))),
      ),
    )
  })
  it('given another version, an unknown flag or an unknown mode, when read, then the refusal says which', async () => {
    await assert.rejects(readReconMessage(Buffer.from([2, 0])), /version 2 is not known/)
    await assert.rejects(readReconMessage(Buffer.from([1, 4])), /flags 4/)
    await assert.rejects(readReconMessage(Buffer.from([1, 0, 6])), /mode 6 is not known/)
  })
  it('given paths that do not ascend, lie outside of their range or are no UTF-8, when read, then it is refused', async () => {
    const upper = (...path: number[]) => [0, path.length, ...path]
    const cases = {
      descending: [3, ...upper(0x2f, 0x62), 3, ...upper(0x2f, 0x61)],
      twice: [3, ...upper(0x2f, 0x62), 3, ...upper(0x2f, 0x62)],
      below: [3, ...upper(0x2f, 0x62), 4, 1, ...upper(0x2f, 0x61), 0, 0],
      'at the upper bound': [4, 1, ...upper(0x2f, 0x61), ...upper(0x2f, 0x61)],
      'after the end': [3, 0, 0, 3, ...upper(0x2f)],
      'not UTF-8': [3, ...upper(0x2f, 0xff)],
      'a zero byte': [3, ...upper(0x2f, 0)],
      'empty in a list': [4, 1, 0, 0, ...upper(0x2f)],
      'sharing what is not there': [3, 9, 1, 0x2f],
      'a number without end': [3, 0xff, 0xff, 0xff, 0xff, 0x01],
      'a row that stands as 2': [5, 1, ...upper(0x2f), 2],
      'a list longer than the message': [4, 0xff, 0x1f, ...upper(0x2f)],
      'a list longer than any': [4, 0xff, 0xff, 0x7f, ...upper(0x2f)],
    }
    for (const [name, range] of Object.entries(cases)) assert.ok(await refused(Buffer.from([1, 0, ...range])), name)
  })
  it('given a message above 1 MiB, or long paths from few bytes, when read, then it is refused', async () => {
    assert.ok(await refused(Buffer.alloc(MAX_MESSAGE_BYTES + 1, 1)))
    const count = Math.ceil(MAX_PATH_BYTES_IN_ALL / 2_600) + 1
    const varint = (value: number) => [0x80 | (value & 0x7f), value >> 7]
    const first = Buffer.concat([Buffer.from([1, 0, 3, 0, ...varint(2_600)]), Buffer.alloc(2_600, 0x61)])
    const next = (n: number) =>
      Buffer.from([3, ...varint(2_597), 3, 0x62 + (n >> 11), 0x30 + ((n >> 6) & 31), 0x30 + (n & 63)])
    const bomb = Buffer.concat([first, ...Array.from({ length: count - 1 }, (_, n) => next(n))])
    assert.ok(bomb.length < 60_000)
    await assert.rejects(readReconMessage(bomb), /too long in all/)
  })
  it('given ranges that do not fit, when added, then none of them is, and the message says how far it came', async () => {
    const writer = createReconWriter('content', 4_096)
    const range = (n: number) => ({ lo: `/${String(n).padStart(8, '0')}`, hi: `/${String(n + 1).padStart(8, '0')}` })
    const pair = (n: number): ReconPart[] => [
      { mode: 'fingerprint', range: range(n), fingerprint: FINGERPRINT },
      { mode: 'empty', range: range(n + 1) },
    ]
    let at = 0
    while (writer.add(pair(at))) at += 2
    const message = writer.endPartial(range(at + 1).lo)
    assert.ok(message.length <= 4_096)
    const read = await readReconMessage(message)
    assert.deepEqual([read.partial, read.reached, read.parts.length], [true, range(at + 1).lo, at])
  })
})
