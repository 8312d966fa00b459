import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { documentOf } from '../../../test/helpers/frames.ts'
import {
  acksOf,
  deletion,
  entry,
  exceptionsOf,
  HERE,
  metadataOf,
  OTHER_LINK,
  streamTarget,
} from '../../../test/helpers/stream-target.ts'
import { createCrc64 } from '../../core/crc64.ts'
import { rowIdOf } from '../../core/fingerprint.ts'
import { HLC_ZERO, makeHlc } from '../../core/hlc.ts'
import { LATEST_TIME_MS } from '../../core/latest-time.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Precondition, StreamBegin } from '../../remotes/cluster/frames/frame.ts'

const ABSENT: Precondition = { is: 'absent' }
/** Of `one`. */
const MD5 = hash('md5', 'one', 'hex')
const CRC64 = crc64Of('one')
const lanesOf = ({ contentLanes, metadataLanes }: NodeRecord) => ({ content: contentLanes, metadata: metadataLanes })
function crc64Of(text: string): string {
  const crc64 = createCrc64()
  crc64.update(Buffer.from(text))
  return crc64.value()
}
const isRow = (row: NodeRecord): Precondition => ({ is: 'row', id: rowIdOf(lanesOf(row), 'content+metadata') })

eachDatabase('applying a batch: what stands there', (make) => {
  it('given nothing at the path, when a file comes, then it is made as its source has it', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const metadata = [{ key: 'k', value: 1 }]
    const file = entry(1, '/a/x', 'one', { metadata, md5: MD5, crc64: CRC64, createdBy: 'bob', expect: ABSENT })
    assert.deepEqual(await target.deliver([file]), ['written'])
    const row = (await target.row('/a/x'))!
    const { digest, sizeBytes, hlc, createdBy, createdAt, modifiedAt, md5, crc64 } = row
    assert.deepEqual(
      { digest, sizeBytes, hlc, createdBy, createdAt, modifiedAt, md5, crc64, metadata: row.metadata },
      {
        ...{ digest: file.digest, sizeBytes: 3, hlc: file.hlc, createdBy: 'bob' },
        ...{ createdAt: file.createdAt, modifiedAt: file.modifiedAt, md5: MD5, crc64: CRC64, metadata },
      },
    )
    assert.ok(row.origin > 0 && row.viaLink !== null)
    assert.deepEqual(await target.files(), { '/a/x': 'one' })
  })

  it('given an equal file, when it comes, then it is unchanged and the log has no row of it', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.write('/x', 'one')
    const before = await target.logRows()
    assert.deepEqual(await target.deliver([entry(1, '/x', 'one', { expect: ABSENT })]), ['unchanged'])
    assert.equal(await target.logRows(), before)
  })

  it('given other metadata only, when the task leaves metadata out, then it is unchanged; when not, it differs', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.write('/x', 'one', { metadata: [{ key: 'k', value: 'theirs' }] })
    const mine = entry(1, '/x', 'one', { metadata: [{ key: 'k', value: 'ours' }] })
    const none = { ...mine, metadata: null }
    assert.deepEqual(await target.deliver([none], { includeMetadata: false, conflictStrategy: 'OVERWRITE' }), [
      'unchanged',
    ])
    assert.deepEqual(await target.deliver([mine]), ['kept'])
    assert.deepEqual(await target.deliver([mine], { conflictStrategy: 'OVERWRITE' }), ['replaced'])
    assert.deepEqual((await target.row('/x'))!.metadata, mine.metadata)
  })

  it('given the same file with another expiry, when it comes, then it differs', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.write('/x', 'one')
    const expiring = entry(1, '/x', 'one', { expiresAt: target.clock.now() + 60_000 })
    assert.deepEqual(await target.deliver([expiring]), ['kept'])
  })

  it('given a file that this link wrote, when it changed at the source, then it is moved forward; after a local change it is a conflict', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.deliver([entry(1, '/x', 'one')])
    assert.deepEqual(await target.deliver([entry(1, '/x', 'two')], { run: 2 }), ['written'])
    await target.write('/x', 'local')
    assert.deepEqual(await target.deliver([entry(1, '/x', 'three')], { run: 3 }), ['kept'])
    assert.deepEqual(await target.deliver([entry(1, '/y', 'one')], {}, OTHER_LINK), ['written'])
    assert.deepEqual(await target.deliver([entry(1, '/y', 'two')]), ['kept'])
  })

  for (const [conflictStrategy, result, after] of [
    ['SKIP', 'kept', 'local'],
    ['OVERWRITE', 'replaced', 'ours'],
    ['FAST_FAIL', 'conflict', 'local'],
  ] as const) {
    it(`given other content, when the strategy is ${conflictStrategy}, then it is ${result}`, async () => {
      await using db = await make()
      const target = await streamTarget(db)
      await target.deliver([entry(1, '/x', 'local')], {}, OTHER_LINK)
      const row = (await target.row('/x'))!
      const answers = await target.send({ conflictStrategy }, [
        entry(1, '/x', 'ours', { expect: isRow(row) }),
        { type: 'end' },
      ])
      const reason =
        result === 'conflict'
          ? 'File [/x] conflict: the target has other content there. Delete or rename it there, or let the task OVERWRITE it, or SKIP it'
          : ''
      const remote = result === 'replaced' ? null : lanesOf(row)
      assert.deepEqual(exceptionsOf(answers), [{ item: 1, result, reason, remote }])
      assert.deepEqual(await target.files(), { '/x': after })
    })
  }

  it('given an expired file at the path or above it, when one comes, then it takes its place', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const expiresAt = target.clock.now() + 1_000
    await target.write('/e', 'old', { expiresAt })
    await target.write('/f', 'old', { expiresAt })
    const items = [entry(1, '/e/x', 'one', { expect: ABSENT }), entry(2, '/f', 'two', { expect: ABSENT })]
    const inTheWay = 'refused: the target has a file at [/e], where it needs a folder'
    assert.deepEqual(await target.deliver(items), [inTheWay, 'changed'])
    await target.clock.advance(1_000)
    assert.deepEqual(await target.deliver(items), ['written', 'written'])
    assert.deepEqual(await target.files(), { '/e/x': 'one', '/f': 'two' })
  })

  it('given a folder at the path, when a file comes, then it alone is refused', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.write('/d/x', 'one')
    const results = await target.deliver([entry(1, '/d', 'two'), entry(2, '/ok', 'two')])
    assert.deepEqual(results, ['refused: the target has a folder there', 'written'])
  })
})

eachDatabase('applying a batch: preconditions', (make) => {
  it('given that the source believes what is not so, when a file comes, then it is changed and the answer says what is there', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const old = await target.write('/x', 'one')
    const row = await target.write('/x', 'two')
    const items = [entry(1, '/x', 'mine', { expect: isRow(old) }), entry(2, '/x', 'mine', { expect: ABSENT })]
    const gone = entry(3, '/gone', 'mine', { expect: isRow(old) })
    const answers = await target.send({ conflictStrategy: 'OVERWRITE' }, [...items, gone, { type: 'end' }])
    const changed = { result: 'changed', reason: '' }
    assert.deepEqual(exceptionsOf(answers), [
      { item: 1, ...changed, remote: lanesOf(row) },
      { item: 2, ...changed, remote: lanesOf(row) },
      { item: 3, ...changed, remote: null },
    ])
  })

  it('given a task without metadata, when only the content is as the source believes, then that is enough', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const row = await target.write('/x', 'one', { metadata: [{ key: 'k', value: 1 }] })
    const expect: Precondition = { is: 'row', id: rowIdOf(lanesOf(row), 'content') }
    const file = entry(1, '/x', 'two', { expect, metadata: null })
    const rules: Partial<StreamBegin> = { conflictStrategy: 'OVERWRITE' }
    assert.deepEqual(await target.deliver([file], rules), ['changed'])
    assert.deepEqual(await target.deliver([file], { ...rules, includeMetadata: false }), ['replaced'])
    assert.deepEqual((await target.row('/x'))!.metadata, [{ key: 'k', value: 1 }])
  })

  it('given that bytes are neither sent nor here, when a file comes, then it is no-blob; when they are here, it is written', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const bare = { content: undefined }
    assert.deepEqual(await target.deliver([entry(1, '/x', 'one', bare)]), ['no-blob'])
    const both = [entry(1, '/x', 'one'), entry(2, '/y', 'one', bare)]
    assert.deepEqual(await target.deliver(both), ['written', 'written'])
    assert.deepEqual(await target.deliver([entry(1, '/z', 'one', bare)]), ['written'])
  })

  it('given a file whose bytes were damaged on their way or are not as long as it says, when it comes, then it alone is not written', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const tampered = entry(1, '/x', 'one', { content: Buffer.from('0ne') })
    const short = entry(2, '/y', 'two', { content: Buffer.from('tw') })
    assert.deepEqual(await target.deliver([tampered, short, entry(3, '/z', 'one')]), [
      'retry: its content does not hash to its sha256: it was damaged on its way',
      'refused: its content has 2 bytes, not 3 as it says',
      'written',
    ])
    assert.deepEqual(await target.files(), { '/z': 'one' })
  })

  it('given texts, times and sums that cannot be kept or shown, when they come, then each item is refused by its field, beside good ones', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const bad = [
      ['origin', { origin: 'a\0b' }],
      ['createdBy', { createdBy: 'a\0b' }],
      ['modifiedBy', { modifiedBy: '\u001b[2J' }],
      ['createdBy', { createdBy: '\ud800' }],
      ['createdBy', { createdBy: 'x'.repeat(257) }],
      ['createdAt', { createdAt: 2 ** 48 - 1 }],
      ['modifiedAt', { modifiedAt: LATEST_TIME_MS }],
      ['expiresAt', { expiresAt: 2 ** 53 - 1 }],
      ['crc64', { crc64: 'not a number\n' }],
      ['crc64', { crc64: '18446744073709551616' }],
      ['Metadata', { metadata: [{ key: 'k', value: '\udc00' }] }],
      ['Path', { path: '/a\0b' }],
      ['Path', { path: '/\ud800' }],
    ] as const
    const items = bad.map(([, more], n) => entry(n + 1, `/f${n}`, 'one', more))
    const gone = deletion(50, '/gone', { deletedBy: 'a\0b' })
    const results = await target.deliver([...items, gone, entry(60, '/ok', 'one', { expiresAt: LATEST_TIME_MS - 1 })])
    assert.equal(results.pop(), 'written')
    assert.match(results.pop()!, /^refused: .*deletedBy/)
    for (const [n, [field]] of bad.entries()) {
      assert.match(results[n]!, new RegExp(`^refused: .*${field}`))
      assert.ok(results[n]!.isWellFormed() && !/\p{Cc}/u.test(results[n]!), `${results[n]}`)
    }
    assert.deepEqual(await target.files(), { '/ok': 'one' })
  })

  it('given an entry without content, when it names another size than its bytes have, then it is refused', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.deliver([entry(1, '/a', 'one')])
    const bare = { content: undefined } as const
    const items = [entry(1, '/lie', 'one', { ...bare, sizeBytes: 10 ** 15 }), entry(2, '/true', 'one', bare)]
    assert.deepEqual(await target.deliver(items, { stream: 't' }), [
      'refused: its content has 3 bytes, not 1000000000000000 as it says',
      'written',
    ])
    const beside = [entry(1, '/b', 'two'), entry(2, '/c', 'two', { ...bare, sizeBytes: 4 })]
    assert.deepEqual(await target.deliver(beside, { stream: 'u' }), [
      'written',
      'refused: its content has 3 bytes, not 4 as it says',
    ])
  })

  it('given sums beside a content, when they are not of it, then the item is refused', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const items = [
      entry(1, '/a', 'two', { md5: MD5 }),
      entry(2, '/b', 'two', { crc64: CRC64 }),
      entry(3, '/c', 'one', { md5: MD5, crc64: CRC64 }),
    ]
    assert.deepEqual(await target.deliver(items), [
      'refused: its md5 is not that of its content',
      'refused: its crc64 is not that of its content',
      'written',
    ])
  })

  it('given items that no cluster may send, when they come, then each is refused for its own reason', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const late = makeHlc(target.clock.now() + 6 * 60_000, 0)
    const version = { type: 'version', item: 6, packageKey: 'rds://p', version: '1', document: documentOf() } as const
    const results = await target.deliver([
      entry(1, '/a/../b', 'one'),
      entry(2, '/late', 'one', { hlc: late }),
      entry(3, '/meta', 'one', { metadata: [{ key: '', value: 1 }] }),
      entry(4, '/origin', 'one', { origin: '' }),
      entry(5, '/hlc', 'one', { hlc: 'x' as never }),
      { ...version, origin: 'src', hlc: HLC_ZERO, expect: ABSENT },
      entry(7, '/ok', 'one', { hlc: makeHlc(target.clock.now() + 4 * 60_000, 0) }),
    ])
    assert.deepEqual(results, [
      'refused: Path [/b] is not in its normal form',
      'refused: it is dated 360 s in the future: set the clocks of both clusters',
      'refused: Metadata is invalid: a key must have 1 to 128 characters',
      'refused: Parameter [origin] is invalid: it is empty',
      'refused: Parameter [hlc] is invalid',
      'refused: Method not allowed: the GENERIC repository [demo/files] has files, not packages',
      'written',
    ])
  })

  it('given a quota, when a file does not fit, then it alone is refused', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.on.quotas.set(target.repository, 10, 'admin')
    const results = await target.deliver([entry(1, '/a', '123456'), entry(2, '/b', '1234567'), entry(3, '/c', '1234')])
    assert.deepEqual(results, [
      'written',
      "refused: the target's repository is over its quota of 10 bytes: 4 are left, 7 more are needed",
      'written',
    ])
  })

  it('given a row of this cluster that comes back, when it is written, then its origin is this cluster', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.deliver([entry(1, '/x', 'one', { origin: HERE, via: [HERE] })])
    assert.equal((await target.row('/x'))!.origin, 0)
  })
})

eachDatabase('applying a batch: deletions and metadata', (make) => {
  it('given that the file was deleted here later, when deletions count, then it stays deleted; when not, it is made', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.deliver([entry(1, '/x', 'one')])
    await target.deliver([deletion(1, '/x', { hlc: makeHlc(target.clock.now() + 1_000, 0) })])
    const older = entry(1, '/x', 'two')
    assert.deepEqual(await target.deliver([older], { honourTombstones: true }), ['superseded'])
    const newer = entry(1, '/x', 'two', { hlc: makeHlc(target.clock.now() + 2_000, 0) })
    assert.deepEqual(await target.deliver([newer], { honourTombstones: true }), ['written'])
    await target.deliver([deletion(1, '/x', { hlc: makeHlc(target.clock.now() + 3_000, 0) })])
    assert.deepEqual(await target.deliver([older]), ['written'])
  })

  it('given new metadata, when the file is there, then it takes it, keeping what the system noted; elsewhere it is changed', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const note = { key: 'note', value: 'n', system: true }
    await target.deliver([entry(1, '/x', 'one')])
    const { id, viaLink } = (await target.row('/x'))!
    await target.write('/theirs', 'one', { metadata: [note] })
    await target.write('/d/y', 'one')
    const entries = [{ key: 'k', value: 1 }]
    const frames = ['/x', '/d', '/none', '/theirs'].map((path, n) => metadataOf(n + 1, path, entries))
    assert.deepEqual(await target.deliver(frames, { run: 2, conflictStrategy: 'OVERWRITE' }), [
      ...['written', 'changed', 'changed', 'replaced'],
    ])
    const row = (await target.row('/x'))!
    assert.deepEqual({ id: row.id, viaLink: row.viaLink, metadata: row.metadata }, { id, viaLink, metadata: entries })
    assert.deepEqual((await target.row('/theirs'))!.metadata, [...entries, note])
    const before = await target.logRows()
    assert.deepEqual(await target.deliver([metadataOf(1, '/x', entries)], { run: 3 }), ['unchanged'])
    assert.deepEqual(await target.deliver([metadataOf(1, '/x', entries)], { run: 2 }), ['delivered'])
    assert.equal(await target.logRows(), before)
  })
})

eachDatabase('applying a batch: failures', (make) => {
  it('given a failure, when the stream stops at it, then all later items are not tried, in later batches too', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.write('/b', 'local')
    const items = ['/a', '/b', '/c', '/c'].map((path, n) => entry(n + 1, path, 'one'))
    const rules = { conflictStrategy: 'FAST_FAIL', stopAtFailure: true } as const
    const answers = await target.send(rules, [...items, { type: 'end' }])
    assert.equal(acksOf(answers).length, 2)
    assert.deepEqual(
      exceptionsOf(answers).map(({ item, result }) => [item, result]),
      [
        [2, 'conflict'],
        [3, 'not-tried'],
        [4, 'not-tried'],
      ],
    )
    const rest = await target.deliver(items, { ...rules, stopAtFailure: false })
    assert.deepEqual(
      rest.map((result) => result.split(':')[0]),
      ['delivered', 'conflict', 'written', 'delivered'],
    )
  })

  it('given what may be tried again, when the stream stops at failures, then it does not stop at that', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const missing = entry(1, '/a', 'one', { content: undefined })
    const damaged = entry(2, '/b', 'two', { content: Buffer.from('tw0') })
    const results = await target.deliver([missing, damaged, entry(3, '/c', 'three')], { stopAtFailure: true })
    assert.deepEqual(
      results.map((result) => result.split(':')[0]),
      ['no-blob', 'retry', 'written'],
    )
  })
})
