import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { type Digest, digestOfBytes } from '../../core/digest.ts'
import { EMPTY_SUM } from '../../core/fingerprint.ts'
import { HLC_ZERO } from '../../core/hlc.ts'
import { contentLanes, metadataLanes, NO_LANES } from '../../core/lanes.ts'
import { type PackageKey, packagePath, versionPath } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import type { PackageRecord } from '../../metadata/packages/packages.ts'
import type { SourceFile } from '../../metadata/replication/source-files.ts'
import type { ItemOutcome, OutgoingItem } from '../../remotes/cluster/frame-stream.ts'
import { createRateLimiter } from '../limits/rate-limiter.ts'
import type { Supply } from './contents.ts'
import { type DeliveryContext, deliverBatch } from './deliver-batch.ts'
import { countOutcomes, type Outcome } from './outcome.ts'
import { fileItem, UNKNOWN, type VersionItem, type WorkItem } from './work-item.ts'

const never = new AbortController().signal

function file(path: string, content = path): SourceFile {
  return {
    ...{ path: path as NodePath, digest: digestOfBytes(content), sizeBytes: content.length, md5: null, crc64: null },
    ...{ metadata: [], metadataLength: 2, metadataLanes: metadataLanes(path, []), origin: 0, hlc: HLC_ZERO },
    ...{ viaLink: null, expiresAt: null, createdBy: 'a', createdAt: 1, modifiedBy: 'a', modifiedAt: 1 },
  }
}
const work = (...files: SourceFile[]): WorkItem[] => files.map((one) => fileItem(one, UNKNOWN))
const answer = (result: ItemOutcome['result'], more: Partial<ItemOutcome> = {}): ItemOutcome => {
  return { reason: '', remote: null, ...more, result }
}

interface Script {
  /** By path, one answer per attempt; the last one repeats. Nothing: written. */
  readonly answers?: Readonly<Record<string, readonly ItemOutcome[]>>
  readonly supply?: Partial<Supply>
  readonly context?: Partial<DeliveryContext>
}

/** A target that answers as scripted, and lacks all contents. */
function target({ answers = {}, supply = {}, context = {} }: Script = {}) {
  const clock = manualClock()
  const sent: OutgoingItem[][] = []
  const settled: string[] = []
  const tries = new Map<string, number>()
  const answerTo = (item: OutgoingItem): ItemOutcome => {
    const { path } = item as { path: string }
    const attempt = tries.get(path) ?? 0
    tries.set(path, attempt + 1)
    return (answers[path] ?? [answer('written')]).at(Math.min(attempt, (answers[path]?.length ?? 1) - 1))!
  }
  const ctx: DeliveryContext = {
    stream: {
      async send(items) {
        sent.push([...items])
        return items.map(answerTo)
      },
      flush() {},
      async end() {},
      async [Symbol.asyncDispose]() {},
    },
    contents: {
      async supply(blobs) {
        const inline = new Map(blobs.map((blob) => [blob.digest, Buffer.alloc(blob.sizeBytes)]))
        return {
          ...{ inline, ours: new Set(inline.keys()), failed: new Map(), elsewhere: new Map() },
          ...supply,
          settle: (outcome) => settled.push(outcome),
        }
      },
    },
    rate: createRateLimiter({ clock }),
    concurrency: { acked: () => {}, congested: () => {} },
    includeMetadata: true,
    conflictStrategy: 'SKIP',
    stopAtFailure: false,
    originOf: () => 'here',
    clock,
    random: { next: () => 0.5 } as never,
    retryDelaysMs: [1_000, 4_000],
    ...context,
  }
  const deliver = (items: readonly WorkItem[], signal = never) => deliverBatch(items, ctx, signal)
  return { clock, sent, settled, deliver }
}
const told = (outcomes: readonly Outcome[]) =>
  Object.fromEntries(outcomes.map(({ item: { path }, result, conflict, blob }) => [path, [result, conflict, blob]]))

describe('delivering a batch', () => {
  const rule: [ItemOutcome['result'], Outcome['result'], boolean][] = [
    ['written', 'written', false],
    ['replaced', 'written', true],
    ['unchanged', 'unchanged', false],
    ['superseded', 'unchanged', false],
    ['kept', 'kept', true],
    ['conflict', 'failed', true],
    ['refused', 'failed', false],
  ]
  for (const [result, outcome, conflict] of rule) {
    it(`given the answer ${result}, when delivered, then the artifact counts as ${outcome}${conflict ? ', a conflict' : ''}`, async () => {
      const { deliver } = target({ answers: { '/a': [answer(result)] } })
      assert.deepEqual(told(await deliver(work(file('/a')))), { '/a': [outcome, conflict, 'sent'] })
    })
  }

  for (const [result, conflict] of [
    ['delivered', false],
    ['delivered-replaced', true],
  ] as const) {
    it(`given the answer ${result}, when delivered, then it counts as written once, and its content was not sent`, async () => {
      const { deliver } = target({ answers: { '/a': [answer(result)] } })
      assert.deepEqual(told(await deliver(work(file('/a')))), { '/a': ['written', conflict, 'not-sent'] })
    })
  }

  it('given two files of one content, when delivered, then the content travels with the first, and counts once', async () => {
    const { deliver, sent } = target()
    const outcomes = await deliver(work(file('/a', 'x'), file('/b', 'x')))
    assert.deepEqual(told(outcomes), { '/a': ['written', false, 'sent'], '/b': ['written', false, 'not-sent'] })
    assert.deepEqual(
      sent[0]!.map((item) => (item as { content?: Buffer }).content?.length),
      [1, undefined],
    )
  })

  it('given a file that is kept, when delivered, then the ledger hears by how much the target differs', async () => {
    const theirs = { content: contentLanes('/a', digestOfBytes('other'), 5), metadata: metadataLanes('/a', []) }
    const { deliver } = target({ answers: { '/a': [answer('kept', { remote: theirs })] } })
    const [outcome] = await deliver(work(file('/a', 'ours')))
    const ours = contentLanes('/a', digestOfBytes('ours'), 4)
    const content = theirs.content.map((lane, index) => BigInt(lane) - BigInt(ours[index]!))
    assert.deepEqual(outcome!.delta, { ...EMPTY_SUM, rows: 0, content })
  })

  it('given a target that changed meanwhile, when delivered, then it is sent again at once with what stands there', async () => {
    const theirs = { content: contentLanes('/a', digestOfBytes('o'), 1), metadata: metadataLanes('/a', []) }
    const { deliver, sent } = target({ answers: { '/a': [answer('changed', { remote: theirs }), answer('written')] } })
    const [outcome] = await deliver(work(file('/a')))
    assert.equal(outcome!.result, 'written')
    assert.equal(outcome!.attempts, 2)
    assert.equal((sent[1]![0] as { expect: { is: string } }).expect.is, 'row')
  })

  it('given a target that changes all the time, when delivered, then it fails after a few attempts and says so', async () => {
    const { deliver } = target({ answers: { '/a': [answer('changed')] } })
    const [outcome] = await deliver(work(file('/a')))
    assert.equal(outcome!.result, 'failed')
    assert.match(outcome!.reason!, /kept changing/)
  })

  it('given a passing refusal of one file, when delivered, then it is tried again after a pause, and the others only once', async () => {
    const { deliver, clock, sent } = target({
      answers: { '/a': [answer('retry', { reason: 'busy' }), answer('written')] },
    })
    const delivering = deliver(work(file('/a'), file('/b')))
    await clock.untilSleeping()
    await clock.advance(1_000)
    assert.deepEqual(told(await delivering), {
      '/a': ['written', false, 'sent'],
      '/b': ['written', false, 'sent'],
    })
    assert.deepEqual(
      sent.map((items) => items.length),
      [2, 1],
    )
  })

  it('given a refusal that does not pass, when all pauses are over, then the file fails with its words', async () => {
    const { deliver, clock } = target({ answers: { '/a': [answer('retry', { reason: 'the disk is full' })] } })
    const delivering = deliver(work(file('/a')))
    await clock.untilSleeping()
    await clock.advance(1_000)
    await clock.untilSleeping()
    await clock.advance(4_000)
    const [outcome] = await delivering
    assert.equal(outcome!.attempts, 3)
    assert.match(outcome!.reason!, /File \[\/a\] could not be written: the disk is full/)
  })

  it('given FAST_FAIL and a content that is lost, when delivered, then nothing after it is sent, and has no outcome', async () => {
    const failed = new Map<Digest, { reason: string; retryable: boolean }>([
      [digestOfBytes('/b'), { reason: 'gone', retryable: false }],
    ])
    const { deliver, sent } = target({ supply: { failed }, context: { stopAtFailure: true } })
    const outcomes = await deliver(work(file('/a'), file('/b'), file('/c')))
    assert.deepEqual(Object.keys(told(outcomes)).sort(), ['/a', '/b'])
    assert.equal(sent.flat().length, 1)
  })

  it('given FAST_FAIL and a content that fails for now, when it has arrived, then all that comes after it is sent as well', async () => {
    const passing = new Map([[digestOfBytes('/b'), { reason: 'busy', retryable: true }]])
    let first = true
    const { deliver, clock } = target({
      supply: {
        get failed() {
          const now = first ? passing : new Map()
          first = false
          return now
        },
      },
      context: { stopAtFailure: true },
    })
    const delivering = deliver(work(file('/a'), file('/b'), file('/c'), file('/d')))
    await clock.untilSleeping()
    await clock.advance(1_000)
    const outcomes = await delivering
    assert.deepEqual(Object.keys(told(outcomes)).sort(), ['/a', '/b', '/c', '/d'])
    assert.ok(outcomes.every(({ result }) => result === 'written'))
  })

  it('given FAST_FAIL and a content that keeps failing, when all pauses are over, then nothing after it is sent', async () => {
    const failed = new Map([[digestOfBytes('/b'), { reason: 'busy', retryable: true }]])
    const { deliver, clock, sent } = target({ supply: { failed }, context: { stopAtFailure: true } })
    const delivering = deliver(work(file('/a'), file('/b'), file('/c')))
    await clock.untilSleeping()
    await clock.advance(1_000)
    await clock.untilSleeping()
    await clock.advance(4_000)
    assert.deepEqual(Object.keys(told(await delivering)).sort(), ['/a', '/b'])
    assert.equal(sent.flat().length, 1)
  })

  it('given a target that asks to be left alone for a minute, when a content is tried again, then after that minute and not before', async () => {
    const busy = new Map([[digestOfBytes('/a'), { reason: 'busy', retryable: true, retryAfterMs: 60_000 }]])
    const { deliver, clock } = target({ supply: { failed: busy } })
    let ended = false
    const delivering = deliver(work(file('/a'))).finally(() => {
      ended = true
    })
    for (const pauses of [1, 2]) {
      await clock.untilSleeping()
      await clock.advance(59_000)
      assert.deepEqual([clock.sleeping, ended], [1, false], `pause ${pauses}`)
      await clock.advance(1_000)
    }
    assert.equal((await delivering)[0]?.attempts, 3)
  })

  it('given files that the target did not try, when delivered, then they have no outcome', async () => {
    const { deliver } = target({ answers: { '/a': [answer('refused')], '/b': [answer('not-tried')] } })
    assert.deepEqual(Object.keys(told(await deliver(work(file('/a'), file('/b'))))), ['/a'])
  })

  it('given a content that somebody else is sending, when that has ended, then the file goes without waiting longer', async () => {
    const elsewhere = new Map([[digestOfBytes('/a'), Promise.resolve('arrived')]])
    let first = true
    const { deliver, sent } = target({
      supply: {
        get elsewhere() {
          const now = first ? elsewhere : new Map()
          first = false
          return now
        },
      },
    })
    assert.deepEqual(told(await deliver(work(file('/a'), file('/b')))), {
      '/a': ['written', false, 'sent'],
      '/b': ['written', false, 'sent'],
    })
    assert.equal(sent.length, 2)
  })

  it('given a file that the target is known to have otherwise, when delivered, then its content goes only once the target wants it', async () => {
    const answers = { '/kept': [answer('kept')], '/ours': [answer('no-blob'), answer('written')] }
    const { deliver, sent } = target({ answers })
    const expect = { is: 'row', id: Buffer.alloc(8) } as const
    const outcomes = await deliver([file('/kept'), file('/ours')].map((one) => fileItem(one, expect)))
    assert.deepEqual(told(outcomes), { '/kept': ['kept', true, 'not-sent'], '/ours': ['written', false, 'sent'] })
    const contents = sent.map((items) => items.map((item) => (item as { content?: Buffer }).content !== undefined))
    assert.deepEqual(contents, [[false, false], [true]])
  })

  it('given a content that travelled before the target changed, when sent again, then it counts as sent', async () => {
    const { deliver } = target({ answers: { '/a': [answer('changed'), answer('replaced')] } })
    let first = true
    const { deliver: again } = target({
      answers: { '/a': [answer('changed'), answer('replaced')] },
      supply: {
        get ours() {
          const now = first ? new Set([digestOfBytes('/a')]) : new Set<Digest>()
          first = false
          return now
        },
      },
    })
    assert.deepEqual(told(await deliver(work(file('/a')))), { '/a': ['written', true, 'sent'] })
    assert.deepEqual(told(await again(work(file('/a')))), { '/a': ['written', true, 'sent'] })
  })

  it('given a content that somebody else is sending, when the signal aborts, then it is not waited for', async () => {
    const elsewhere = new Map([[digestOfBytes('/a'), new Promise(() => {})]])
    const stop = new AbortController()
    const { deliver } = target({ supply: { elsewhere } })
    const delivering = deliver(work(file('/a')), stop.signal)
    stop.abort(new Error('stopped'))
    await assert.rejects(delivering, /stopped/)
  })

  it('given a stream that breaks, when delivered, then the failure goes up, and others hear that the contents did not arrive', async () => {
    const stream = {
      send: () => Promise.reject(new Error('broken')),
      flush() {},
      async end() {},
      async [Symbol.asyncDispose]() {},
    }
    const { deliver, settled } = target({ context: { stream } })
    await assert.rejects(deliver(work(file('/a'))), /broken/)
    assert.deepEqual(settled, ['failed'])
  })
})

describe('delivering what is unsure, and deletions', () => {
  const lanes = { content: [1, 2, 3, 4], metadata: [0, 0, 0, 0] } as const
  const unsure = (path: string) => ({ ...fileItem(file(path), UNKNOWN), unsure: true as const })
  const contentsIn = (sent: readonly OutgoingItem[][]) =>
    sent.map((items) => items.map((item) => (item.type === 'entry' ? item.content !== undefined : item.type)))

  it('given a large file of which nobody knows what the target has, when it is kept, then its content never travels; when it is wanted, then it does', async () => {
    const { deliver, sent } = target({
      answers: { '/kept': [answer('kept', { remote: lanes })], '/new': [answer('no-blob'), answer('written')] },
    })
    assert.deepEqual(told(await deliver([unsure('/kept'), unsure('/new')])), {
      '/kept': ['kept', true, 'not-sent'],
      '/new': ['written', false, 'sent'],
    })
    assert.deepEqual(contentsIn(sent), [[false, false], [true]])
    const overwriting = target({ context: { conflictStrategy: 'OVERWRITE' } })
    await overwriting.deliver([unsure('/x')])
    assert.deepEqual(contentsIn(overwriting.sent), [[true]])
  })

  it('given a target that keeps a file without saying which, when delivered, then the ledger does not know by how much it differs', async () => {
    const { deliver } = target({ answers: { '/a': [answer('kept')] } })
    const [outcome] = await deliver(work(file('/a')))
    assert.deepEqual([outcome!.result, outcome!.delta], ['kept', undefined])
  })

  const rule: [ItemOutcome['result'], Outcome['result'], Outcome['left']][] = [
    ['written', 'written', undefined],
    ['delivered', 'written', undefined],
    ['unchanged', 'unchanged', undefined],
    ['superseded', 'unchanged', 'foreign'],
    ['kept', 'unchanged', 'foreign'],
    ['changed', 'failed', undefined],
    ['refused', 'failed', undefined],
  ]
  for (const [result, outcome, left] of rule) {
    it(`given the answer ${result} to a deletion, when delivered, then it counts as ${outcome}, and is no conflict`, async () => {
      const { deliver, sent } = target({ answers: { '/a': [answer(result, { remote: lanes })] } })
      const tombstone = { hlc: HLC_ZERO, origin: 0, deletedBy: 'bob', viaLink: null, viaMark: null }
      const [one] = await deliver([{ kind: 'deletion', path: '/a', tombstone, last: lanes }])
      assert.deepEqual([one!.result, one!.conflict, one!.left, one!.delta?.rows], [outcome, false, left, left && 1])
      const [frame] = sent[0]!
      assert.equal(frame!.type === 'delete' && `${frame!.deletedBy} ${frame!.expect.is}`, 'bob row')
    })
  }
})

describe('delivering versions', () => {
  const KEY = 'rds://lib' as PackageKey
  const audit = {
    origin: 0,
    hlc: HLC_ZERO,
    viaLink: null,
    createdBy: 'a',
    createdAt: 1,
    modifiedBy: 'a',
    modifiedAt: 1,
  }
  const owner: PackageRecord = {
    ...{ id: 1, repoId: 1, key: KEY, name: 'lib', description: null, latest: '1', versions: 1, downloads: 0 },
    ...{ versionTag: {}, extension: {}, metadataLanes: NO_LANES, ...audit },
  }
  function versionItem(name: string, ...files: SourceFile[]): VersionItem {
    const path = versionPath(KEY, name)
    const version = {
      ...{ id: 1, packageId: 1, repoId: 1, packageKey: KEY, name, ordinal: name, prerelease: false, downloads: 0 },
      ...{ manifestPath: null, artifactPath: files[0]!.path, stageTags: [], tags: [], metadata: [], extension: {} },
      ...{ sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), contentLanes: NO_LANES },
      ...{ metadataLanes: NO_LANES, viaMark: null, ...audit, listed: true, digest: null, subject: null },
    }
    const parts = files.map((one, n) => ({ role: n === 0 ? 'main' : 'part', file: one }))
    return { kind: 'version', path, expect: UNKNOWN, source: { path, version, package: owner, files: parts } }
  }
  const frames = (sent: readonly OutgoingItem[][]) =>
    sent.flat().map((item) => (item.type === 'version' ? `version ${item.version}` : item.type))

  it('given versions that share a file, when delivered, then contents go before, each once, and a version counts as one', async () => {
    const { deliver, sent } = target()
    const shared = file('/shared')
    const outcomes = await deliver([versionItem('1', file('/1'), shared), versionItem('2', file('/2'), shared)])
    assert.deepEqual(frames(sent), ['content', 'content', 'version 1', 'content', 'version 2'])
    assert.deepEqual(
      outcomes.map(({ result, blobs }) => [result, blobs]),
      [
        ['written', { sent: 2, failed: 0 }],
        ['written', { sent: 1, failed: 0 }],
      ],
    )
    const counters = countOutcomes(outcomes, 0)
    assert.deepEqual([counters.ok, counters.fileOk], [2, 3])
  })

  it('given a content that is lost, when a version has it, then the version fails by its name, and its frame is not sent', async () => {
    const lost = file('/lost')
    const failed = new Map([[lost.digest, { reason: 'it is gone', retryable: false }]])
    const { deliver, sent } = target({ supply: { failed } })
    const [outcome] = await deliver([versionItem('1', file('/1'), lost)])
    assert.equal(outcome!.reason, 'Version [1] of package [rds://lib] could not be sent: it is gone')
    assert.deepEqual(frames(sent), [])
  })

  it('given what is said about a package, when delivered, then it counts nowhere, unless it fails', async () => {
    const item: WorkItem = { kind: 'package', path: packagePath(KEY), expect: UNKNOWN, owner }
    const [written] = await target().deliver([item])
    assert.deepEqual([written!.result, countOutcomes([written!], 0).ok], ['written', 0])
    const [failed] = [{ ...written!, result: 'failed' as const }]
    assert.equal(countOutcomes([failed], 0).failed, 1)
  })
})
