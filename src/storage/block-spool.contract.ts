import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  brokenStream,
  digestOf,
  digestOfStream,
  hangingStream,
  seededDigest,
  seededStream,
  streamOf,
  textOf,
} from '../../test/helpers/blobs.ts'
import { hasCode } from '../core/errors.ts'
import type { BlockSpool } from './block-spool.ts'

export interface BlockSpoolContext extends AsyncDisposable {
  readonly spool: BlockSpool
  /** How many blocks lie there, those of `uploadId`. */
  count(uploadId: string): Promise<number>
  /** Another spool on the same bytes, as another process makes, or this one after it died. */
  restart(): Promise<BlockSpool>
}

const MIB = 1024 * 1024

/** What every adapter of BlockSpool promises. */
export function blockSpoolContract(name: string, make: () => Promise<BlockSpoolContext>): void {
  const signal = new AbortController().signal
  const put = (spool: BlockSpool, block: string, text: string) => spool.put('up', block, streamOf(text), {}, signal)
  const read = (spool: BlockSpool, ...blocks: string[]) => textOf(spool.open('up', blocks, signal))
  const uploads = (spool: BlockSpool) => Array.fromAsync(spool.list(signal))

  describe(`BlockSpool contract: ${name}`, () => {
    it('given blocks of any size, when read in any order, then their bytes come one block after another', async () => {
      await using ctx = await make()
      await put(ctx.spool, 'a', 'one ')
      await put(ctx.spool, 'b', '')
      await put(ctx.spool, 'c', 'three')
      assert.equal(await read(ctx.spool, 'a', 'b', 'c'), 'one three')
      assert.equal(await read(ctx.spool, 'c', 'a'), 'threeone ')
      assert.equal(await read(ctx.spool), '')
    })

    it('given a block, when put, then its size and the digests that were asked for are told', async () => {
      await using ctx = await make()
      const plain = await put(ctx.spool, 'a', '123456789')
      assert.deepEqual(plain, { digest: digestOf('123456789'), sizeBytes: 9, md5: undefined, crc64: undefined })
      const options = { withMd5: true, withCrc64: true } as const
      const more = await ctx.spool.put('up', 'b', streamOf('1234', '56789'), options, signal)
      assert.deepEqual(
        [more.digest, more.md5, more.crc64],
        [digestOf('123456789'), '25f9e794323b453885f5181f1b624d0b', '11051210869376104954'],
      )
    })

    it('given many blocks of many MiB at once, when read, then every byte is right', async () => {
      await using ctx = await make()
      const names = Array.from({ length: 6 }, (_, at) => `n${at}`)
      await Promise.all(names.map((block, at) => ctx.spool.put('up', block, seededStream(at, 3 * MIB), {}, signal)))
      for (const [at, block] of names.entries()) {
        assert.equal(await digestOfStream(ctx.spool.open('up', [block], signal)), seededDigest(at, 3 * MIB))
      }
    })

    it('given a spool made anew, when blocks are read, then those that were put before are there', async () => {
      await using ctx = await make()
      await put(ctx.spool, 'a', 'before ')
      const again = await ctx.restart()
      await put(again, 'b', 'after')
      assert.equal(await read(again, 'a', 'b'), 'before after')
      assert.equal(await read(ctx.spool, 'a', 'b'), 'before after')
      assert.deepEqual(await uploads(again), ['up'])
    })

    it('given a source that breaks, is aborted, or has another length than announced, when put, then nothing is left', async () => {
      await using ctx = await make()
      const broken = ctx.spool.put('up', 'a', brokenStream(new Error('line cut'), 'half'), {}, signal)
      await assert.rejects(broken, /line cut/)
      const stop = new AbortController()
      const source = hangingStream('half')
      const aborted = ctx.spool.put('up', 'b', source, { onBytes: () => stop.abort(new Error('gone')) }, stop.signal)
      await assert.rejects(aborted, /gone/)
      for (const sizeBytes of [3, 5]) {
        const wrong = ctx.spool.put('up', 'c', streamOf('four'), { sizeBytes }, signal)
        await assert.rejects(wrong, (error) => hasCode(error, 'ARTIFACT_BROKEN'))
      }
      assert.equal(await ctx.count('up'), 0)
    })

    it('given a block that is removed, when read, then UPLOAD_INCONSISTENT; removing it twice is fine', async () => {
      await using ctx = await make()
      await put(ctx.spool, 'a', 'x')
      await put(ctx.spool, 'b', 'y')
      await ctx.spool.remove('up', 'a')
      await ctx.spool.remove('up', 'a')
      assert.equal(await read(ctx.spool, 'b'), 'y')
      await assert.rejects(read(ctx.spool, 'b', 'a'), (error) => hasCode(error, 'UPLOAD_INCONSISTENT'))
      await assert.rejects(textOf(ctx.spool.open('never', ['a'], signal)), (error) =>
        hasCode(error, 'UPLOAD_INCONSISTENT'),
      )
    })

    it('given uploads, when one is removed, then its blocks go, the others stay, and it may come back', async () => {
      await using ctx = await make()
      await put(ctx.spool, 'a', 'x')
      await ctx.spool.put('other', 'a', streamOf('z'), {}, signal)
      assert.deepEqual(await uploads(ctx.spool), ['other', 'up'])
      await ctx.spool.removeUpload('up')
      await ctx.spool.removeUpload('up')
      assert.deepEqual([await uploads(ctx.spool), await ctx.count('up')], [['other'], 0])
      await put(ctx.spool, 'b', 'again')
      assert.equal(await read(ctx.spool, 'b'), 'again')
    })

    it('given names that are none, when used, then they are refused and nothing outside is touched', async () => {
      await using ctx = await make()
      for (const bad of ['', '..', 'a/b', '../../x', '.', 'a\u0000']) {
        await assert.rejects(ctx.spool.put(bad, 'a', streamOf('x'), {}, signal))
        await assert.rejects(ctx.spool.put('up', bad, streamOf('x'), {}, signal))
        await assert.rejects(async () => ctx.spool.remove('up', bad))
        await assert.rejects(async () => ctx.spool.removeUpload(bad))
      }
      assert.deepEqual(await uploads(ctx.spool), [])
    })
  })
}
