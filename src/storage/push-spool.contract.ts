import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  brokenStream,
  digestOf,
  digestOfStream,
  hangingStream,
  seededBytes,
  seededDigest,
  seededStream,
  streamOf,
  textOf,
} from '../../test/helpers/blobs.ts'
import type { ManualClock } from '../../test/helpers/clock.ts'
import { hasCode } from '../core/errors.ts'
import type { BlobStore } from './blob-store.ts'
import type { PushChunk, PushSpool } from './push-spool.ts'

export interface PushSpoolContext extends AsyncDisposable {
  readonly spool: PushSpool
  /** Where completed pushes are published. */
  readonly store: BlobStore
  readonly clock: ManualClock
  /** Another spool on the same bytes, as the process makes after it died. */
  restart(): Promise<PushSpool>
  /** Another process on the same bytes. */
  another(): Promise<PushSpool>
  /** Leaves the first `sizeBytes` of a push, as a power cut may. */
  tear(pushId: string, sizeBytes: number): Promise<void>
}

const MIB = 1024 * 1024
const sha512 = (text: string): string => createHash('sha512').update(text).digest('hex')

/** What every adapter of PushSpool promises. */
export function pushSpoolContract(name: string, make: () => Promise<PushSpoolContext>): void {
  const signal = new AbortController().signal
  const append = (spool: PushSpool, text: string, chunk: PushChunk = {}, pushId = 'up') =>
    spool.append(pushId, chunk, streamOf(text), signal)
  const isUnknown = (error: unknown) => hasCode(error, 'UPLOAD_UNKNOWN')
  const isBusy = (error: unknown) => hasCode(error, 'UPLOAD_INCONSISTENT') && error.retryable
  const endsAt = (length: number) => (error: unknown) =>
    hasCode(error, 'RANGE_INVALID') && error.detail.length === length
  /** Completes, publishes and ends it. @returns its text. */
  const completed = async ({ store }: PushSpoolContext, spool: PushSpool): Promise<string> => {
    await using push = await spool.complete('up', undefined, signal)
    await push.publish(signal)
    const text = await textOf(await store.open(push.digest, undefined, signal))
    assert.deepEqual([push.digest, push.sizeBytes], [digestOf(text), Buffer.byteLength(text)])
    return text
  }
  /** A chunk whose end comes when the test says so; its first bytes are there. */
  const slowly = async (spool: PushSpool, first: string, chunk: PushChunk = {}) => {
    const source = hangingStream(first)
    const arrived = Promise.withResolvers<void>()
    // Reading adds its listeners first; so the first bytes are taken within this turn.
    source.once('resume', () => setImmediate(arrived.resolve))
    const done = spool.append('up', chunk, source, signal)
    done.catch(() => {})
    await Promise.race([arrived.promise, done])
    return { source, done }
  }

  describe(`PushSpool contract: ${name}`, () => {
    it('given chunks one after another, when completed and published, then the blob is their bytes and the push is gone', async () => {
      await using ctx = await make()
      assert.equal(await ctx.spool.length('up', signal), undefined)
      assert.equal(await append(ctx.spool, 'one '), 4)
      assert.equal(await append(ctx.spool, 'two ', { start: 4, sizeBytes: 4 }), 8)
      assert.equal(await append(ctx.spool, ''), 8)
      assert.equal(await append(ctx.spool, 'three'), 13)
      assert.equal(await ctx.spool.length('up', signal), 13)
      assert.equal(await completed(ctx, ctx.spool), 'one two three')
      assert.equal(await ctx.spool.length('up', signal), undefined)
      await assert.rejects(ctx.spool.complete('up', undefined, signal), isUnknown)
    })

    it('given a chunk that does not begin at the end, when appended, then it is refused with the end, and nothing is begun by it', async () => {
      await using ctx = await make()
      await assert.rejects(append(ctx.spool, 'x', { start: 1 }), endsAt(0))
      await assert.rejects(append(ctx.spool, 'x', { to: 'begun' }), isUnknown)
      assert.equal(await ctx.spool.length('up', signal), undefined)
      await append(ctx.spool, '0123', { start: 0 })
      for (const start of [0, 3, 5]) await assert.rejects(append(ctx.spool, 'x', { start }), endsAt(4))
      assert.equal(await completed(ctx, ctx.spool), '0123')
    })

    it('given nothing but an empty chunk, when completed, then the blob is empty', async () => {
      await using ctx = await make()
      assert.equal(await append(ctx.spool, ''), 0)
      assert.equal(await ctx.spool.length('up', signal), 0)
      assert.equal(await completed(ctx, ctx.spool), '')
    })

    it('given a chunk longer or shorter than announced, when refused, then the push is as before, hash included', async () => {
      await using ctx = await make()
      await append(ctx.spool, '01')
      for (const sizeBytes of [1, 5]) {
        await assert.rejects(append(ctx.spool, '2345', { sizeBytes }), (error) => hasCode(error, 'ARTIFACT_BROKEN'))
        assert.equal(await ctx.spool.length('up', signal), 2)
      }
      await append(ctx.spool, '23', { start: 2 })
      assert.equal(await completed(ctx, ctx.spool), '0123')
    })

    it('given a source that breaks or is aborted, when the push goes on, then what had come stays', async () => {
      await using ctx = await make()
      const broken = ctx.spool.append('up', { sizeBytes: 9 }, brokenStream(new Error('line cut'), 'one '), signal)
      await assert.rejects(broken, /line cut/)
      assert.equal(await ctx.spool.length('up', signal), 4)
      const stop = new AbortController()
      const source = hangingStream('two ')
      source.once('resume', () => setImmediate(() => stop.abort(new Error('gone'))))
      await assert.rejects(ctx.spool.append('up', {}, source, stop.signal), /gone/)
      assert.equal(await append(ctx.spool, 'three', { start: 8 }), 13)
      assert.equal(await completed(ctx, ctx.spool), 'one two three')
    })

    it('given sha512 asked for from the first chunk, later, or only at the end, then it is right', async () => {
      await using ctx = await make()
      const askedAt = [
        ['sha512', 'sha512'],
        [undefined, 'sha512'],
        [undefined, undefined],
      ] as const
      for (const [first, second] of askedAt) {
        await append(ctx.spool, 'one ', { withHash: first })
        await append(ctx.spool, 'two', { withHash: second })
        await using push = await ctx.spool.complete('up', 'sha512', signal)
        assert.deepEqual([push.digest, push.sha512], [digestOf('one two'), sha512('one two')])
      }
      await append(ctx.spool, 'x')
      await using plain = await ctx.spool.complete('up', undefined, signal)
      assert.equal(plain.sha512, undefined)
      assert.equal((await plain.read()).toString(), 'x')
    })

    it('given a spool made anew between chunks, when the push goes on, then length and hash are right', async () => {
      await using ctx = await make()
      await append(ctx.spool, 'one ')
      const second = await ctx.restart()
      assert.equal(await second.length('up', signal), 4)
      await append(second, 'two ', { start: 4 })
      await append(second, 'three')
      const third = await ctx.restart()
      assert.equal(await completed(ctx, third), 'one two three')
    })

    it('given it dies in the middle of a chunk, when made anew, then what was acknowledged stands and the push goes on at its end', async () => {
      await using ctx = await make()
      await append(ctx.spool, 'acknowledged ')
      const { source, done } = await slowly(ctx.spool, 'torn')
      const again = await ctx.restart()
      const length = (await again.length('up', signal))!
      assert.ok(length >= 13, String(length))
      await ctx.tear('up', 13)
      assert.equal(await again.length('up', signal), 13)
      await append(again, 'and the rest', { start: 13 })
      assert.equal(await completed(ctx, again), 'acknowledged and the rest')
      source.push(null)
      await assert.rejects(done)
    })

    it('given two requests at once, when the second comes, then it is refused and the first is not harmed', async () => {
      await using ctx = await make()
      const { source, done } = await slowly(ctx.spool, 'first ')
      await assert.rejects(append(ctx.spool, 'second'), isBusy)
      await assert.rejects(ctx.spool.complete('up', undefined, signal), isBusy)
      source.push('wins')
      source.push(null)
      assert.equal(await done, 10)
      assert.equal(await completed(ctx, ctx.spool), 'first wins')
    })

    it('given a request of another process, when it works on the push, then ours is refused; afterwards it goes on there or here', async () => {
      await using ctx = await make()
      const other = await ctx.another()
      await append(ctx.spool, 'a')
      await append(other, 'b', { start: 1 })
      await append(ctx.spool, 'c', { start: 2 })
      const { source, done } = await slowly(other, 'd')
      await assert.rejects(append(ctx.spool, 'x'), isBusy)
      await assert.rejects(ctx.spool.complete('up', undefined, signal), isBusy)
      source.push(null)
      assert.equal(await done, 4)
      assert.equal(await completed(ctx, ctx.spool), 'abcd')
      await assert.rejects(other.complete('up', undefined, signal), isUnknown)
    })

    it('given another process ended the push and began it anew, when completed here, then it is the bytes that are there', async () => {
      await using ctx = await make()
      const other = await ctx.another()
      await append(ctx.spool, 'old')
      await other.cancel('up')
      await append(other, 'new bytes')
      assert.equal(await completed(ctx, ctx.spool), 'new bytes')
    })

    it('given two processes that begin the same push at once, when both are done, then one of them was refused', async () => {
      await using ctx = await make()
      const other = await ctx.another()
      for (let round = 0; round < 10; round++) {
        const texts = ['ours', 'theirs'] as const
        const outcomes = await Promise.allSettled([
          append(ctx.spool, texts[0], { start: 0 }),
          append(other, texts[1], { start: 0 }),
        ])
        const won = outcomes.flatMap(({ status }, at) => (status === 'fulfilled' ? [texts[at]] : []))
        assert.deepEqual(won, [await completed(ctx, ctx.spool)])
      }
    })

    it('given a request that has been silent for long, when another comes, then it gives way and its bytes are kept', async () => {
      await using ctx = await make()
      const { done } = await slowly(ctx.spool, 'silent ')
      await ctx.clock.advance(10_000)
      const next = append(ctx.spool, 'next')
      await assert.rejects(done, (error) => hasCode(error, 'RECEIVE_FAILED'))
      assert.equal(await next, 11)
      assert.equal(await completed(ctx, ctx.spool), 'silent next')
    })

    it('given a push that is completed, when given back, then it goes on; when published, it takes no bytes and can be completed again', async () => {
      await using ctx = await make()
      await append(ctx.spool, 'one')
      const first = await ctx.spool.complete('up', undefined, signal)
      await assert.rejects(append(ctx.spool, 'x'), isBusy)
      await assert.rejects(ctx.spool.cancel('up'), isBusy)
      await first.giveBack()
      await first[Symbol.asyncDispose]()
      await append(ctx.spool, ' two')
      const second = await ctx.spool.complete('up', undefined, signal)
      await second.publish(signal)
      await second.giveBack()
      for (const spool of [ctx.spool, await ctx.restart()]) await assert.rejects(append(spool, '!'), isUnknown)
      assert.equal(await completed(ctx, ctx.spool), 'one two')
    })

    it('given it dies between publishing and the end, when made anew, then the blob is safe from chunks and it can be completed again', async () => {
      await using ctx = await make()
      await append(ctx.spool, 'bytes')
      const push = await ctx.spool.complete('up', undefined, signal)
      await push.publish(signal)
      const again = await ctx.restart()
      await assert.rejects(append(again, 'more'), isUnknown)
      assert.equal(await completed(ctx, again), 'bytes')
    })

    it('given a push that is cancelled, also in the middle of a chunk, then it is gone and its id is free', async () => {
      await using ctx = await make()
      const { done } = await slowly(ctx.spool, 'some')
      await ctx.spool.cancel('up')
      await assert.rejects(done, isUnknown)
      await ctx.spool.cancel('up')
      assert.equal(await ctx.spool.length('up', signal), undefined)
      assert.equal(await append(ctx.spool, 'anew', { start: 0 }), 4)
      assert.equal(await completed(ctx, ctx.spool), 'anew')
    })

    it('given pushes, when listed, then each is told with the time of its last bytes', async () => {
      await using ctx = await make()
      assert.deepEqual(await Array.fromAsync(ctx.spool.list(signal)), [])
      await append(ctx.spool, 'x', {}, 'b')
      await append(ctx.spool, 'y', {}, 'a')
      const listed = await Array.fromAsync(ctx.spool.list(signal))
      assert.deepEqual(
        listed.map(({ pushId }) => pushId),
        ['a', 'b'],
      )
      for (const { changedAt } of listed) assert.ok(changedAt > 0)
    })

    it('given many large pushes at once, each in several chunks, when completed, then every byte is right', async () => {
      await using ctx = await make()
      const one = async (seed: number) => {
        const bytes = seededBytes(seed, 5 * MIB)
        for (const [from, to] of [
          [0, MIB],
          [MIB, MIB + 7],
          [MIB + 7, 5 * MIB],
        ] as const) {
          await ctx.spool.append(`p${seed}`, { start: from }, streamOf(bytes.subarray(from, to)), signal)
        }
        await using push = await ctx.spool.complete(`p${seed}`, undefined, signal)
        await push.publish(signal)
        assert.equal(push.digest, seededDigest(seed, 5 * MIB))
        assert.equal(await digestOfStream(await ctx.store.open(push.digest, undefined, signal)), push.digest)
      }
      await Promise.all(Array.from({ length: 6 }, (_, seed) => one(seed)))
      await ctx.spool.append('whole', {}, seededStream(9, 3 * MIB), signal)
      await using whole = await ctx.spool.complete('whole', undefined, signal)
      assert.equal(whole.digest, seededDigest(9, 3 * MIB))
    })

    it('given ids that are none, when used, then they are unknown and nothing outside is touched', async () => {
      await using ctx = await make()
      for (const bad of ['', '..', 'a/b', '../../x', 'a.b', 'a\u0000']) {
        await assert.rejects(append(ctx.spool, 'x', {}, bad), isUnknown)
        await assert.rejects(ctx.spool.length(bad, signal), isUnknown)
        await assert.rejects(ctx.spool.cancel(bad), isUnknown)
      }
    })
  })
}
