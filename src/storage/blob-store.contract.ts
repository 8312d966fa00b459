import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import {
  brokenStream,
  bytesOf,
  digestOf,
  digestOfStream,
  hangingStream,
  seededBytes,
  seededDigest,
  seededStream,
  streamOf,
  textOf,
} from '../../test/helpers/blobs.ts'
import type { Digest } from '../core/digest.ts'
import { hasCode } from '../core/errors.ts'
import { chunksOf } from '../core/pull-source.ts'
import type { BlobStat, BlobStore } from './blob-store.ts'
import type { MemorySegmentIndex } from './memory/segment-index.ts'
import { packedBlobsContract } from './packed-blobs.contract.ts'

export interface BlobStoreContext extends AsyncDisposable {
  /** What the rows say of packed blobs. */
  readonly index: MemorySegmentIndex
  readonly store: BlobStore
  /** How many staged copies lie about, where that can be told. */
  leftovers(): Promise<number>
  /** Another store on the same bytes, as the process makes after it died. */
  restart(): Promise<BlobStore>
}

const MIB = 1024 * 1024

/** What every adapter of BlobStore promises. */
export function blobStoreContract(name: string, make: () => Promise<BlobStoreContext>): void {
  packedBlobsContract(name, make)
  const signal = new AbortController().signal
  const store = async (blobs: BlobStore, ...chunks: (string | Buffer)[]): Promise<Digest> => {
    await using staged = await blobs.receive(streamOf(...chunks), {}, signal)
    await staged.publish(signal)
    return staged.digest
  }
  const listed = async (blobs: BlobStore): Promise<BlobStat[]> => Array.fromAsync(blobs.list(signal))
  const assertNothing = async (ctx: BlobStoreContext) => {
    assert.deepEqual(await listed(ctx.store), [])
    assert.equal(await ctx.leftovers(), 0)
  }

  describe(`BlobStore contract: ${name}`, () => {
    it('given bytes in several chunks, when received and published, then digest, size and bytes are right', async () => {
      await using ctx = await make()
      await using staged = await ctx.store.receive(streamOf('hel', 'lo'), {}, signal)
      assert.equal(staged.digest, digestOf('hello'))
      assert.equal(staged.sizeBytes, 5)
      assert.equal(staged.md5, undefined)
      await staged.publish(signal)
      assert.equal(await textOf(await ctx.store.open(staged.digest, undefined, signal)), 'hello')
      assert.deepEqual(await ctx.store.find(staged.digest, signal), { digest: digestOf('hello'), sizeBytes: 5 })
    })

    it('given a wish for md5, when received, then it is computed in the same pass', async () => {
      await using ctx = await make()
      await using staged = await ctx.store.receive(streamOf('hel', 'lo'), { withMd5: true }, signal)
      assert.equal(staged.md5, createHash('md5').update('hello').digest('hex'))
    })

    it('given a listener, when received, then it hears of every byte', async () => {
      await using ctx = await make()
      const counts: number[] = []
      await using _ = await ctx.store.receive(streamOf('hel', 'lo'), { onBytes: (count) => counts.push(count) }, signal)
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        5,
      )
    })

    it('given zero bytes, when received and published, then the blob is there and empty', async () => {
      await using ctx = await make()
      const digest = await store(ctx.store)
      assert.equal(digest, digestOf(''))
      assert.deepEqual(await ctx.store.find(digest, signal), { digest, sizeBytes: 0 })
      assert.equal(await textOf(await ctx.store.open(digest, undefined, signal)), '')
    })

    it('given an announced size, when fewer bytes come, then ARTIFACT_BROKEN and nothing is left', async () => {
      await using ctx = await make()
      const receiving = ctx.store.receive(streamOf('hell'), { sizeBytes: 5 }, signal)
      await assert.rejects(receiving, (error) => hasCode(error, 'ARTIFACT_BROKEN'))
      await assertNothing(ctx)
    })

    it('given an announced size, when more bytes come, then ARTIFACT_BROKEN, nothing is left and the source is not destroyed', async () => {
      await using ctx = await make()
      const source = hangingStream('hello', '!')
      const receiving = ctx.store.receive(source, { sizeBytes: 5 }, signal)
      await assert.rejects(receiving, (error) => hasCode(error, 'ARTIFACT_BROKEN'))
      assert.equal(source.destroyed, false)
      await assertNothing(ctx)
    })

    it('given staged bytes, when they are not published, then nobody sees them', async () => {
      await using ctx = await make()
      await using staged = await ctx.store.receive(streamOf('hello'), {}, signal)
      assert.equal(await ctx.store.find(staged.digest, signal), undefined)
      assert.deepEqual(await listed(ctx.store), [])
      await assert.rejects(ctx.store.open(staged.digest, undefined, signal), (error) => hasCode(error, 'BLOB_UNKNOWN'))
    })

    it('given staged bytes, when disposed, then the staged copy is gone and a published blob stays', async () => {
      await using ctx = await make()
      {
        await using _ = await ctx.store.receive(streamOf('dropped'), {}, signal)
      }
      await assertNothing(ctx)
      const digest = await store(ctx.store, 'kept')
      assert.equal(await ctx.leftovers(), 0)
      assert.equal(await textOf(await ctx.store.open(digest, undefined, signal)), 'kept')
    })

    it('given an upload half-way, when aborted, then it rejects with the reason and nothing is left', async () => {
      await using ctx = await make()
      const stop = new AbortController()
      const arrived = Promise.withResolvers<void>()
      const source = hangingStream(seededBytes(1, 3 * MIB))
      const receiving = ctx.store.receive(source, { onBytes: () => arrived.resolve() }, stop.signal)
      await arrived.promise
      stop.abort(new Error('client hung up'))
      await assert.rejects(receiving, /client hung up/)
      await assertNothing(ctx)
    })

    it('given a signal that is aborted already, when received, then it rejects and nothing is left', async () => {
      await using ctx = await make()
      await assert.rejects(ctx.store.receive(streamOf('x'), {}, AbortSignal.abort(new Error('too late'))), /too late/)
      await assertNothing(ctx)
    })

    it('given a source that breaks, when received, then its error comes through and nothing is left', async () => {
      await using ctx = await make()
      const source = brokenStream(new Error('line cut'), seededBytes(1, 2 * MIB), 'x')
      await assert.rejects(ctx.store.receive(source, {}, signal), /line cut/)
      await assertNothing(ctx)
    })

    it('given a source that closes before its end, when received, then RECEIVE_FAILED and nothing is left', async () => {
      await using ctx = await make()
      const source = hangingStream('hel')
      const receiving = ctx.store.receive(source, { onBytes: () => source.destroy() }, signal)
      await assert.rejects(receiving, (error) => hasCode(error, 'RECEIVE_FAILED'))
      await assertNothing(ctx)
    })

    it('given a source that was destroyed before, when received, then RECEIVE_FAILED and nothing is left', async () => {
      await using ctx = await make()
      const receiving = ctx.store.receive(hangingStream('hel').destroy(), {}, signal)
      await assert.rejects(receiving, (error) => hasCode(error, 'RECEIVE_FAILED'))
      await assertNothing(ctx)
    })

    it('given two writers of the same bytes at once, when both publish, then there is one blob and it is right', async () => {
      await using ctx = await make()
      const bytes = seededBytes(2, 3 * MIB)
      const digests = await Promise.all([store(ctx.store, bytes), store(ctx.store, bytes)])
      assert.deepEqual(digests, [seededDigest(2, 3 * MIB), seededDigest(2, 3 * MIB)])
      assert.deepEqual(await listed(ctx.store), [{ digest: digests[0], sizeBytes: 3 * MIB }])
      assert.equal(await digestOfStream(await ctx.store.open(digests[0]!, undefined, signal)), digests[0])
    })

    it('given many small writers at once, when all publish, then every blob is right', async () => {
      await using ctx = await make()
      const texts = Array.from({ length: 60 }, (_, number) => `text ${number}`)
      const digests = await Promise.all(texts.map((text) => store(ctx.store, text)))
      assert.deepEqual(digests, texts.map(digestOf))
      const read = await Promise.all(digests.map(async (d) => textOf(await ctx.store.open(d, undefined, signal))))
      assert.deepEqual(read, texts)
      assert.equal(await ctx.leftovers(), 0)
    })

    it('given staged bytes, when published twice, then the second changes nothing', async () => {
      await using ctx = await make()
      await using staged = await ctx.store.receive(streamOf('hello'), {}, signal)
      await staged.publish(signal)
      await staged.publish(signal)
      assert.equal((await listed(ctx.store)).length, 1)
    })

    it('given a published blob, when deleted and published again, then it is there again', async () => {
      await using ctx = await make()
      await using staged = await ctx.store.receive(streamOf('hello'), {}, signal)
      await staged.publish(signal)
      await ctx.store.delete(staged.digest, signal)
      assert.equal(await ctx.store.find(staged.digest, signal), undefined)
      await staged.publish(signal)
      assert.equal(await textOf(await ctx.store.open(staged.digest, undefined, signal)), 'hello')
    })

    it('given an aborted signal, when published, then nothing is visible', async () => {
      await using ctx = await make()
      await using staged = await ctx.store.receive(streamOf('hello'), {}, signal)
      await assert.rejects(staged.publish(AbortSignal.abort(new Error('stopping'))), /stopping/)
      assert.equal(await ctx.store.find(staged.digest, signal), undefined)
    })

    it('given a blob, when ranges are opened, then [start, end) comes, cut at the end of the blob', async () => {
      await using ctx = await make()
      for (const sizeBytes of [10, 300 * 1024]) {
        const bytes = seededBytes(3, sizeBytes)
        const digest = await store(ctx.store, bytes)
        for (const [start, end] of [
          [0, 1],
          [0, sizeBytes],
          [0, undefined],
          [sizeBytes - 1, sizeBytes],
          [4, 4],
          [sizeBytes, undefined],
          [3, undefined],
          [5, sizeBytes + 1000],
          [sizeBytes + 5, sizeBytes + 9],
        ] as const) {
          const range = end === undefined ? { start } : { start, end }
          const read = await bytesOf(await ctx.store.open(digest, range, signal))
          assert.ok(read.equals(bytes.subarray(start, end)), `[${start}, ${end}) of ${sizeBytes}`)
          const pulled = await bytesOf(
            Readable.from(chunksOf(await ctx.store.pull(digest, range, signal), 1_000, signal)),
          )
          assert.ok(pulled.equals(read), `[${start}, ${end}) of ${sizeBytes}, pulled`)
        }
      }
    })

    it('given an unknown or deleted blob, when opened, then BLOB_UNKNOWN', async () => {
      await using ctx = await make()
      const digest = await store(ctx.store, 'hello')
      await ctx.store.delete(digest, signal)
      for (const absent of [digest, digestOf('never')]) {
        await assert.rejects(ctx.store.open(absent, undefined, signal), (error) => hasCode(error, 'BLOB_UNKNOWN'))
        await assert.rejects(ctx.store.pull(absent, undefined, signal), (error) => hasCode(error, 'BLOB_UNKNOWN'))
        assert.equal(await ctx.store.find(absent, signal), undefined)
      }
    })

    it('given an open stream, when the blob is deleted, then the stream still gives all its bytes', async () => {
      await using ctx = await make()
      const digest = await store(ctx.store, seededBytes(4, MIB))
      const stream = await ctx.store.open(digest, undefined, signal)
      await ctx.store.delete(digest, signal)
      assert.equal(await digestOfStream(stream), digest)
    })

    it('given an open stream, when its signal is aborted, then it ends with an error', async () => {
      await using ctx = await make()
      const digest = await store(ctx.store, seededBytes(5, 4 * MIB))
      const stop = new AbortController()
      const stream = await ctx.store.open(digest, undefined, stop.signal)
      stop.abort()
      await assert.rejects(bytesOf(stream))
    })

    it('given no such blob, when deleted, then it is fine, and twice too', async () => {
      await using ctx = await make()
      const digest = await store(ctx.store, 'hello')
      await ctx.store.delete(digest, signal)
      await ctx.store.delete(digest, signal)
      await ctx.store.delete(digestOf('never'), signal)
      assert.deepEqual(await listed(ctx.store), [])
    })

    it('given a blob, when it is put into quarantine, then readers find it no more, and its bytes can come again', async () => {
      await using ctx = await make()
      const digest = await store(ctx.store, 'hello')
      await ctx.store.quarantine(digest, signal)
      await ctx.store.quarantine(digest, signal)
      assert.equal(await ctx.store.find(digest, signal), undefined)
      assert.deepEqual(await listed(ctx.store), [])
      await store(ctx.store, 'hello')
      await ctx.store.quarantine(digest, signal)
      await store(ctx.store, 'hello')
      assert.equal((await bytesOf(await ctx.store.open(digest, undefined, signal))).toString(), 'hello')
    })

    it('given many blobs, when listed, then they come ascending by digest', async () => {
      await using ctx = await make()
      const digests = await Promise.all(Array.from({ length: 50 }, (_, number) => store(ctx.store, `${number}`)))
      const found = (await listed(ctx.store)).map(({ digest }) => digest)
      assert.deepEqual(found, digests.sort())
    })

    it('given a listing under way, when blobs are deleted, then it goes on without them', async () => {
      await using ctx = await make()
      const digests = await Promise.all(Array.from({ length: 20 }, (_, number) => store(ctx.store, `${number}`)))
      const found: Digest[] = []
      for await (const { digest } of ctx.store.list(signal)) {
        if (found.length === 0) await Promise.all(digests.map((each) => ctx.store.delete(each, signal)))
        found.push(digest)
      }
      assert.equal(found[0], digests.sort()[0])
      assert.deepEqual(found, [...new Set(found)].sort())
      assert.deepEqual(await listed(ctx.store), [])
    })

    it('given a blob of 64 MiB and some, when received, opened and ranged, then every byte is right', async () => {
      await using ctx = await make()
      const sizeBytes = 64 * MIB + 12_345
      await using staged = await ctx.store.receive(seededStream(6, sizeBytes), { sizeBytes }, signal)
      assert.equal(staged.digest, seededDigest(6, sizeBytes))
      await staged.publish(signal)
      assert.equal(await digestOfStream(await ctx.store.open(staged.digest, undefined, signal)), staged.digest)
      const tail = await bytesOf(await ctx.store.open(staged.digest, { start: sizeBytes - 2 * MIB }, signal))
      assert.ok(tail.equals(seededBytes(6, sizeBytes).subarray(-2 * MIB)))
    })

    it('given bytes in very many tiny chunks, when received, then every byte is right', async () => {
      await using ctx = await make()
      const bytes = seededBytes(7, 20_000)
      const chunks = Array.from({ length: 5_000 }, (_, at) => bytes.subarray(at * 4, at * 4 + 4))
      const digest = await store(ctx.store, ...chunks)
      assert.ok((await bytesOf(await ctx.store.open(digest, undefined, signal))).equals(bytes))
    })

    it('given bytes staged and bytes published, when the process dies and starts again, then only the published are there', async () => {
      await using ctx = await make()
      const digest = await store(ctx.store, 'published')
      await ctx.store.receive(streamOf('staged'), {}, signal)
      const again = await ctx.restart()
      assert.deepEqual(await listed(again), [{ digest, sizeBytes: 9 }])
      assert.equal(await ctx.leftovers(), 0)
      assert.equal(await store(again, 'staged'), digestOf('staged'))
    })
  })
}
