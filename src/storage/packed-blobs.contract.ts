import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bytesOf, digestOf, seededBytes, streamOf, textOf } from '../../test/helpers/blobs.ts'
import { type Digest, digestOfBytes } from '../core/digest.ts'
import { hasCode } from '../core/errors.ts'
import type { BlobStoreContext } from './blob-store.contract.ts'
import type { BlobStat, PackPlace, SmallContent } from './blob-store.ts'

const signal = new AbortController().signal
const contentOf = (bytes: Buffer | string): SmallContent => {
  const content = Buffer.from(bytes)
  return { digest: digestOfBytes(content), bytes: content }
}
const statOf = ({ digest, bytes }: SmallContent): BlobStat => ({ digest, sizeBytes: bytes.length })
const isUnknown = (error: unknown) => hasCode(error, 'BLOB_UNKNOWN')

/** What every adapter of BlobStore promises about blobs in segments. */
export function packedBlobsContract(name: string, make: () => Promise<BlobStoreContext>): void {
  /** As an intake does it: bytes, then rows. */
  async function pack({ store, index }: BlobStoreContext, ...contents: SmallContent[]): Promise<PackPlace[]> {
    const places = await store.putMany(contents, signal)
    for (const [at, place] of places.entries()) index.promise(statOf(contents[at]!), place)
    return places
  }

  describe(`packed blobs contract: ${name}`, () => {
    it('given small contents, when packed and named by rows, then each is found, opened and read', async () => {
      await using ctx = await make()
      const contents = ['hello', '', 'world', 'x'.repeat(70_000)].map(contentOf)
      assert.equal((await pack(ctx, ...contents)).length, 4)
      for (const content of contents) {
        assert.deepEqual(await ctx.store.find(content.digest, signal), statOf(content))
        const read = await bytesOf(await ctx.store.open(content.digest, undefined, signal))
        assert.ok(read.equals(content.bytes))
      }
      const all = await ctx.store.readMany(contents.map(statOf), signal)
      for (const { digest, bytes } of contents) assert.ok(all.get(digest)?.equals(bytes))
    })

    it('given packed contents that no row names, when looked for, then they are not there', async () => {
      await using ctx = await make()
      const content = contentOf('hello')
      await ctx.store.putMany([content], signal)
      assert.equal(await ctx.store.find(content.digest, signal), undefined)
      await assert.rejects(ctx.store.open(content.digest, undefined, signal), isUnknown)
      assert.equal((await ctx.store.readMany([statOf(content)], signal)).size, 0)
      assert.deepEqual(await Array.fromAsync(ctx.store.list(signal)), [])
    })

    it('given nothing, when packed and read, then nothing happens', async () => {
      await using ctx = await make()
      assert.deepEqual(await ctx.store.putMany([], signal), [])
      assert.equal((await ctx.store.readMany([], signal)).size, 0)
      assert.deepEqual(await Array.fromAsync(ctx.store.listSegments(signal)), [])
    })

    it('given a packed blob, when ranges are opened, then [start, end) comes, cut at the end of the blob', async () => {
      await using ctx = await make()
      for (const sizeBytes of [10, 300_000]) {
        const bytes = seededBytes(3, sizeBytes)
        await pack(ctx, contentOf('before'), contentOf(bytes), contentOf('behind'))
        for (const [start, end] of [
          [0, 1],
          [0, sizeBytes],
          [sizeBytes - 1, sizeBytes],
          [4, 4],
          [sizeBytes, undefined],
          [3, undefined],
          [5, sizeBytes + 1000],
          [sizeBytes + 5, sizeBytes + 9],
        ] as const) {
          const range = end === undefined ? { start } : { start, end }
          const read = await bytesOf(await ctx.store.open(digestOfBytes(bytes), range, signal))
          assert.ok(read.equals(bytes.subarray(start, end)), `[${start}, ${end}) of ${sizeBytes}`)
        }
      }
    })

    it('given many callers at once, when they pack, then every content is at its own place', async () => {
      await using ctx = await make()
      const groups = Array.from({ length: 30 }, (_, group) => [0, 1, 2].map((at) => contentOf(`${group}/${at}`)))
      await Promise.all(groups.map((group) => pack(ctx, ...group)))
      const contents = groups.flat()
      const read = await ctx.store.readMany(contents.map(statOf), signal)
      for (const { digest, bytes } of contents) assert.ok(read.get(digest)?.equals(bytes))
    })

    it('given packed and published blobs, when many are read, then those that are there come, wherever they lie', async () => {
      await using ctx = await make()
      const packed = Array.from({ length: 700 }, (_, at) => contentOf(seededBytes(at, 1 + ((at * 37) % 9_000))))
      await pack(ctx, ...packed)
      await using staged = await ctx.store.receive(streamOf('own'), {}, signal)
      await staged.publish(signal)
      const absent = { digest: digestOf('never'), sizeBytes: 5 }
      const wanted = [...packed.map(statOf), { digest: digestOf('own'), sizeBytes: 3 }, absent].reverse()
      const read = await ctx.store.readMany(wanted, signal)
      assert.equal(read.size, 701)
      assert.equal(read.get(digestOf('own'))?.toString(), 'own')
      for (const { digest, bytes } of packed) assert.ok(read.get(digest)?.equals(bytes))
    })

    it('given a blob of another size than asked for, when many are read, then it is left out', async () => {
      await using ctx = await make()
      await pack(ctx, contentOf('packed'))
      await using staged = await ctx.store.receive(streamOf('own'), {}, signal)
      await staged.publish(signal)
      const wanted = ['packed', 'own'].map((text) => ({ digest: digestOf(text), sizeBytes: 2 }))
      assert.equal((await ctx.store.readMany(wanted, signal)).size, 0)
    })

    it('given a packed blob, when its own file is deleted, then it stays: it goes with its row', async () => {
      await using ctx = await make()
      const content = contentOf('hello')
      await pack(ctx, content)
      await ctx.store.delete(content.digest, signal)
      assert.equal(await textOf(await ctx.store.open(content.digest, undefined, signal)), 'hello')
      ctx.index.promise(statOf(content), undefined)
      assert.equal(await ctx.store.find(content.digest, signal), undefined)
    })

    it('given a packed blob whose row is withdrawn, when put into quarantine, then readers do not find it, and it can come again', async () => {
      await using ctx = await make()
      const content = contentOf('hello')
      await pack(ctx, content)
      ctx.index.withdraw(content.digest)
      await ctx.store.quarantine(content.digest, signal)
      assert.equal(await ctx.store.find(content.digest, signal), undefined)
      await pack(ctx, content)
      assert.equal(await textOf(await ctx.store.open(content.digest, undefined, signal)), 'hello')
    })

    it('given an open stream, when its segment is removed, then the stream still gives all its bytes', async () => {
      await using ctx = await make()
      const bytes = seededBytes(4, 1_000_000)
      await pack(ctx, contentOf(bytes))
      const stream = await ctx.store.open(digestOfBytes(bytes), undefined, signal)
      for (const segment of await Array.fromAsync(ctx.store.listSegments(signal))) {
        await ctx.store.removeSegment(segment)
        await ctx.store.removeSegment(segment)
      }
      assert.ok((await bytesOf(stream)).equals(bytes))
      assert.deepEqual(await Array.fromAsync(ctx.store.listSegments(signal)), [])
      assert.equal(await ctx.store.find(digestOfBytes(bytes), signal), undefined)
      await assert.rejects(ctx.store.open(digestOfBytes(bytes), undefined, signal), isUnknown)
    })

    it('given an open stream, when its signal is aborted, then it ends with an error', async () => {
      await using ctx = await make()
      const bytes = seededBytes(5, 4_000_000)
      await pack(ctx, contentOf(bytes))
      const stop = new AbortController()
      const stream = await ctx.store.open(digestOfBytes(bytes), undefined, stop.signal)
      stop.abort()
      await assert.rejects(bytesOf(stream))
    })

    it('given an aborted signal, when packed, then nothing is written', async () => {
      await using ctx = await make()
      const packing = ctx.store.putMany([contentOf('x')], AbortSignal.abort(new Error('stopping')))
      await assert.rejects(packing, /stopping/)
      assert.deepEqual(await Array.fromAsync(ctx.store.listSegments(signal)), [])
    })

    it('given packed blobs, when the process dies and starts again, then those that rows name are there and more can be packed', async () => {
      await using ctx = await make()
      await pack(ctx, contentOf('named'))
      await ctx.store.putMany([contentOf('not named')], signal)
      const again = { ...ctx, store: await ctx.restart() }
      await pack(again, contentOf('later'))
      const texts: Digest[] = ['named', 'later'].map(digestOf)
      for (const digest of texts) assert.notEqual(await again.store.find(digest, signal), undefined)
    })
  })
}
