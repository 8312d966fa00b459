import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  brokenStream,
  digestOf,
  digestOfStream,
  hangingStream,
  seededBytes,
  seededDigest,
  streamOf,
  textOf,
} from '../../test/helpers/blobs.ts'
import type { ManualClock } from '../../test/helpers/clock.ts'
import { hasCode } from '../core/errors.ts'
import type { BlobStore } from './blob-store.ts'
import type { UploadSpool } from './upload-spool.ts'

export interface UploadSpoolContext extends AsyncDisposable {
  readonly spool: UploadSpool
  /** Where completed uploads are published. */
  readonly store: BlobStore
  readonly clock: ManualClock
  /** Another spool on the same bytes, as the process makes after it died. */
  restart(): Promise<UploadSpool>
}

const MIB = 1024 * 1024

/** What every adapter of UploadSpool promises. */
export function uploadSpoolContract(name: string, make: () => Promise<UploadSpoolContext>): void {
  const signal = new AbortController().signal
  const ignore = () => {}
  const LAYOUT = { sizeBytes: 10, partSizeBytes: 4 }
  const put = (spool: UploadSpool, part: number, ...chunks: (string | Buffer)[]) =>
    spool.putPart('up', part, streamOf(...chunks), ignore, signal)
  const parts = async (spool: UploadSpool) => (await spool.listParts('up', signal)).map(({ part }) => part)
  const started = async (): Promise<UploadSpoolContext> => {
    const ctx = await make()
    await ctx.spool.create('up', LAYOUT, signal)
    return ctx
  }
  const completed = async ({ store }: UploadSpoolContext, spool: UploadSpool): Promise<string> => {
    await using whole = await spool.complete('up', signal)
    await whole.publish(signal)
    const text = await textOf(await store.open(whole.digest, undefined, signal))
    assert.equal(whole.digest, digestOf(text))
    return text
  }
  const isUnknown = (error: unknown) => hasCode(error, 'UPLOAD_UNKNOWN')
  /** A part whose bytes come when the test says so. */
  const slowPart = async (spool: UploadSpool, part: number, first: string) => {
    const source = hangingStream(first)
    const arrived = Promise.withResolvers<void>()
    const done = spool.putPart('up', part, source, () => arrived.resolve(), signal)
    done.catch(ignore)
    await Promise.race([arrived.promise, done])
    return { source, done }
  }

  describe(`UploadSpool contract: ${name}`, () => {
    it('given parts in order, when completed and published, then the blob is their bytes one after another', async () => {
      await using ctx = await started()
      await put(ctx.spool, 0, '0123')
      await put(ctx.spool, 1, '45', '67')
      await put(ctx.spool, 2, '89')
      assert.deepEqual(await ctx.spool.listParts('up', signal), [
        { part: 0, sizeBytes: 4 },
        { part: 1, sizeBytes: 4 },
        { part: 2, sizeBytes: 2 },
      ])
      await using whole = await ctx.spool.complete('up', signal)
      assert.deepEqual([whole.digest, whole.sizeBytes], [digestOf('0123456789'), 10])
      assert.equal(await ctx.store.find(whole.digest, signal), undefined)
      await whole.publish(signal)
      assert.equal(await textOf(await ctx.store.open(whole.digest, undefined, signal)), '0123456789')
    })

    for (const order of [
      [2, 1, 0],
      [1, 0, 2],
      [0, 2, 1],
      [2, 0, 1],
    ]) {
      it(`given parts in the order ${order}, when completed, then the bytes are in the right order`, async () => {
        await using ctx = await started()
        for (const part of order) await put(ctx.spool, part, ['0123', '4567', '89'][part]!)
        assert.equal(await completed(ctx, ctx.spool), '0123456789')
      })
    }

    it('given all parts at once, when completed, then every byte is right', async () => {
      await using ctx = await make()
      const [sizeBytes, partSizeBytes] = [9 * MIB + 17, MIB]
      await ctx.spool.create('up', { sizeBytes, partSizeBytes }, signal)
      const bytes = seededBytes(1, sizeBytes)
      const numbers = Array.from({ length: 10 }, (_, part) => part)
      await Promise.all(
        numbers.map((part) => put(ctx.spool, part, bytes.subarray(part * MIB, Math.min((part + 1) * MIB, sizeBytes)))),
      )
      await using whole = await ctx.spool.complete('up', signal)
      await whole.publish(signal)
      assert.equal(whole.digest, seededDigest(1, sizeBytes))
      assert.equal(await digestOfStream(await ctx.store.open(whole.digest, undefined, signal)), whole.digest)
    })

    it('given a part of many MiB, when it and a listener are served, then every byte is right and counted', async () => {
      await using ctx = await make()
      const sizeBytes = 24 * MIB
      await ctx.spool.create('up', { sizeBytes, partSizeBytes: 16 * MIB }, signal)
      const bytes = seededBytes(2, sizeBytes)
      let heard = 0
      const onBytes = (count: number) => {
        heard += count
      }
      await ctx.spool.putPart('up', 1, streamOf(bytes.subarray(16 * MIB)), onBytes, signal)
      await ctx.spool.putPart('up', 0, streamOf(bytes.subarray(0, 16 * MIB)), onBytes, signal)
      assert.equal(heard, sizeBytes)
      await using whole = await ctx.spool.complete('up', signal)
      assert.equal(whole.digest, seededDigest(2, sizeBytes))
    })

    it('given an upload of zero bytes, when completed, then it is the empty blob', async () => {
      await using ctx = await make()
      await ctx.spool.create('up', { sizeBytes: 0, partSizeBytes: 4 }, signal)
      assert.equal(await completed(ctx, ctx.spool), '')
    })

    it('given a missing part, when completed, then UPLOAD_INCOMPLETE names the first one and more parts may come', async () => {
      await using ctx = await started()
      await put(ctx.spool, 0, '0123')
      await assert.rejects(ctx.spool.complete('up', signal), (error) => {
        return hasCode(error, 'UPLOAD_INCOMPLETE') && error.detail.part === 1
      })
      await put(ctx.spool, 2, '89')
      await put(ctx.spool, 1, '4567')
      assert.equal(await completed(ctx, ctx.spool), '0123456789')
    })

    it('given a part that is shorter or longer than it should be, when put, then ARTIFACT_BROKEN and it is not listed', async () => {
      await using ctx = await started()
      for (const [part, text] of [
        [0, '012'],
        [0, '01234'],
        [2, '8'],
        [2, '89a'],
      ] as const) {
        await assert.rejects(put(ctx.spool, part, text), (error) => hasCode(error, 'ARTIFACT_BROKEN'), text)
      }
      assert.deepEqual(await parts(ctx.spool), [])
    })

    it('given a part that is too long, when put, then the parts beside it keep their bytes', async () => {
      await using ctx = await started()
      await put(ctx.spool, 1, '4567')
      await assert.rejects(put(ctx.spool, 0, '0123x'))
      await put(ctx.spool, 0, '0123')
      await put(ctx.spool, 2, '89')
      assert.equal(await completed(ctx, ctx.spool), '0123456789')
    })

    it('given a part that does not exist, when put, then it is refused', async () => {
      await using ctx = await started()
      for (const part of [3, -1, 0.5]) {
        await assert.rejects(put(ctx.spool, part, 'x'), (error) => hasCode(error, 'PARAMETER_INVALID'))
      }
    })

    it('given a source that breaks or a signal that is aborted, when a part is put, then it is not listed and may come again', async () => {
      await using ctx = await started()
      const source = brokenStream(new Error('line cut'), '01')
      await assert.rejects(ctx.spool.putPart('up', 0, source, ignore, signal), /line cut/)
      const stop = new AbortController()
      const hanging = ctx.spool.putPart('up', 0, hangingStream('ab'), () => stop.abort(new Error('gone')), stop.signal)
      await assert.rejects(hanging, /gone/)
      assert.deepEqual(await parts(ctx.spool), [])
      await put(ctx.spool, 0, '0123')
      assert.deepEqual(await parts(ctx.spool), [0])
    })

    it('given a part that is there, when other bytes are put, then they replace it, also after it was hashed', async () => {
      await using ctx = await started()
      await put(ctx.spool, 0, 'xxxx')
      await put(ctx.spool, 1, '4567')
      await put(ctx.spool, 0, '0', '123')
      await put(ctx.spool, 2, '89')
      await put(ctx.spool, 1, '45', '!!')
      assert.equal(await completed(ctx, ctx.spool), '012345!!89')
    })

    it('given a part that is there, when the same bytes break off on their way again, then the part stays', async () => {
      await using ctx = await started()
      await put(ctx.spool, 0, '0123')
      const source = brokenStream(new Error('line cut'), '01')
      await assert.rejects(ctx.spool.putPart('up', 0, source, ignore, signal), /line cut/)
      assert.deepEqual(await parts(ctx.spool), [0])
    })

    it('given a part that is there, when other bytes break off, then it is missing and may come again', async () => {
      await using ctx = await started()
      await put(ctx.spool, 0, '0123')
      const source = brokenStream(new Error('line cut'), '0x')
      await assert.rejects(ctx.spool.putPart('up', 0, source, ignore, signal), /line cut/)
      assert.deepEqual(await parts(ctx.spool), [])
      await put(ctx.spool, 0, '0123')
      await put(ctx.spool, 1, '4567')
      await put(ctx.spool, 2, '89')
      assert.equal(await completed(ctx, ctx.spool), '0123456789')
    })

    it('given two requests for one part at once, when both end, then the part is the bytes of the last one', async () => {
      await using ctx = await started()
      const first = await slowPart(ctx.spool, 0, 'aa')
      const second = put(ctx.spool, 0, 'bbbb')
      first.source.push('aa')
      first.source.push(null)
      await Promise.all([first.done, second])
      await put(ctx.spool, 1, '4567')
      await put(ctx.spool, 2, '89')
      assert.equal(await completed(ctx, ctx.spool), 'bbbb456789')
    })

    it('given a request for a part that has stalled, when the part is sent again, then the new request wins', async () => {
      await using ctx = await started()
      const first = await slowPart(ctx.spool, 0, 'aa')
      await ctx.clock.advance(10_000)
      await put(ctx.spool, 0, 'bbbb')
      await assert.rejects(first.done, (error) => hasCode(error, 'RECEIVE_FAILED'))
      assert.deepEqual(await parts(ctx.spool), [0])
    })

    it('given a part that is being written, when completed, then UPLOAD_INCOMPLETE names it', async () => {
      await using ctx = await started()
      await put(ctx.spool, 0, '0123')
      await put(ctx.spool, 1, '4567')
      const last = await slowPart(ctx.spool, 2, '8')
      await assert.rejects(ctx.spool.complete('up', signal), (error) => {
        return hasCode(error, 'UPLOAD_INCOMPLETE') && error.detail.part === 2
      })
      last.source.push('9')
      last.source.push(null)
      await last.done
      assert.equal(await completed(ctx, ctx.spool), '0123456789')
    })

    it('given a second sender of parts that are there, when the first completes meanwhile, then neither disturbs the other', async () => {
      await using ctx = await started()
      for (const [part, text] of ['0123', '4567', '89'].entries()) await put(ctx.spool, part, text)
      const again = await slowPart(ctx.spool, 1, '45')
      assert.equal(await completed(ctx, ctx.spool), '0123456789')
      again.source.push('67')
      again.source.push(null)
      await again.done
    })

    it('given a completed upload, when a part is sent, then UPLOAD_UNKNOWN and the blob keeps its bytes', async () => {
      await using ctx = await started()
      for (const [part, text] of ['0123', '4567', '89'].entries()) await put(ctx.spool, part, text)
      const other = await slowPart(ctx.spool, 0, '01')
      await using whole = await ctx.spool.complete('up', signal)
      await whole.publish(signal)
      await assert.rejects(put(ctx.spool, 1, 'evil'), isUnknown)
      other.source.push('!!')
      await assert.rejects(other.done, isUnknown)
      assert.equal(await textOf(await ctx.store.open(whole.digest, undefined, signal)), '0123456789')
    })

    it('given an upload that is completed twice at once, when the first is disposed, then the second says UPLOAD_UNKNOWN', async () => {
      await using ctx = await started()
      for (const [part, text] of ['0123', '4567', '89'].entries()) await put(ctx.spool, part, text)
      const first = await ctx.spool.complete('up', signal)
      const second = ctx.spool.complete('up', signal)
      second.catch(ignore)
      const stop = new AbortController()
      const third = ctx.spool.complete('up', stop.signal)
      stop.abort(new Error('gone'))
      await assert.rejects(third, /gone/)
      await first.publish(signal)
      await first[Symbol.asyncDispose]()
      await assert.rejects(second, isUnknown)
    })

    it('given a completed upload, when disposed without being published, then nothing is left of it', async () => {
      await using ctx = await started()
      for (const [part, text] of ['0123', '4567', '89'].entries()) await put(ctx.spool, part, text)
      {
        await using _ = await ctx.spool.complete('up', signal)
      }
      await assert.rejects(ctx.spool.listParts('up', signal), isUnknown)
      assert.equal(await ctx.store.find(digestOf('0123456789'), signal), undefined)
      await ctx.spool.create('up', LAYOUT, signal)
      assert.deepEqual(await parts(ctx.spool), [])
    })

    it('given an upload, when created again, then its parts stay; with another size it is refused', async () => {
      await using ctx = await started()
      await put(ctx.spool, 0, '0123')
      await ctx.spool.create('up', LAYOUT, signal)
      assert.deepEqual(await parts(ctx.spool), [0])
      const other = ctx.spool.create('up', { sizeBytes: 11, partSizeBytes: 4 }, signal)
      await assert.rejects(other, (error) => hasCode(error, 'RESOURCE_EXISTED'))
      assert.deepEqual(await parts(ctx.spool), [0])
    })

    it('given an upload, when it is created twice at once, then both succeed', async () => {
      await using ctx = await make()
      await Promise.all([ctx.spool.create('up', LAYOUT, signal), ctx.spool.create('up', LAYOUT, signal)])
      assert.deepEqual(await parts(ctx.spool), [])
    })

    it('given finished and unfinished parts, when the process dies and starts again, then the finished are there and it goes on', async () => {
      await using ctx = await started()
      await put(ctx.spool, 1, '4567')
      await slowPart(ctx.spool, 0, '012')
      const again = await ctx.restart()
      assert.deepEqual(await Array.fromAsync(again.list(signal)), ['up'])
      assert.deepEqual(await parts(again), [1])
      await again.create('up', LAYOUT, signal)
      await put(again, 0, '0123')
      await put(again, 2, '89')
      assert.equal(await completed(ctx, again), '0123456789')
    })

    it('given a part that is being replaced, when the process dies, then the part is missing', async () => {
      await using ctx = await started()
      await put(ctx.spool, 0, '0123')
      const other = await slowPart(ctx.spool, 0, 'x')
      other.source.push('y')
      while ((await parts(ctx.spool)).length > 0);
      assert.deepEqual(await parts(await ctx.restart()), [])
    })

    it('given a published upload, when the process dies before it is disposed, then it takes no parts and completes again', async () => {
      await using ctx = await started()
      for (const [part, text] of ['0123', '4567', '89'].entries()) await put(ctx.spool, part, text)
      const whole = await ctx.spool.complete('up', signal)
      await whole.publish(signal)
      const again = await ctx.restart()
      await assert.rejects(put(again, 1, 'evil'), isUnknown)
      await put(again, 1, '4567')
      assert.equal(await completed(ctx, again), '0123456789')
      assert.deepEqual(await Array.fromAsync(again.list(signal)), [])
    })

    it('given an upload with a part under way, when aborted, then the part ends, nothing is left, and twice is fine', async () => {
      await using ctx = await started()
      const { done } = await slowPart(ctx.spool, 0, '01')
      await ctx.spool.abort('up')
      await assert.rejects(done, isUnknown)
      await ctx.spool.abort('up')
      await ctx.spool.abort('../up')
      assert.deepEqual(await Array.fromAsync(ctx.spool.list(signal)), [])
    })

    it('given no such upload, when anything is asked of it, then UPLOAD_UNKNOWN', async () => {
      await using ctx = await make()
      for (const id of ['up', '..', 'a/b', '', 'x'.repeat(129)]) {
        await assert.rejects(ctx.spool.putPart(id, 0, streamOf('x'), ignore, signal), isUnknown)
        await assert.rejects(ctx.spool.listParts(id, signal), isUnknown)
        await assert.rejects(ctx.spool.complete(id, signal), isUnknown)
      }
    })
  })
}
