import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededBytes } from '../../test/helpers/blobs.ts'
import { type ErrorCode, hasCode } from '../core/errors.ts'
import type { BackupLocation, ObjectReader } from './backup-location.ts'

export interface BackupLocationContext extends AsyncDisposable {
  readonly place: BackupLocation
  /** The same bytes, as another process sees them. */
  again(): BackupLocation
}

const HOSTILE = ['', '/', '/a', 'a/', 'a//b', '.', '..', 'a/../b', 'a/./b', 'a\\b', 'a\0b', 'C:/x', 'a b', 'é', 'a\nb']

/** What every adapter of BackupLocation promises. */
export function backupLocationContract(name: string, make: () => Promise<BackupLocationContext>): void {
  const signal = new AbortController().signal
  const bytes = (text: string) => Buffer.from(text)
  const coded =
    (...codes: ErrorCode[]) =>
    (error: unknown) =>
      hasCode(error, ...codes)
  const allOf = async (reader: ObjectReader): Promise<Buffer> => {
    await using opened = reader
    const all = Buffer.alloc(opened.sizeBytes)
    assert.equal(await opened.read(all, 0, signal), all.length)
    return all
  }
  const textAt = async (place: BackupLocation, object: string) =>
    (await allOf(await place.open(object, signal))).toString()
  const namesIn = async (place: BackupLocation, prefix: string) =>
    (await Array.fromAsync(place.list(prefix, signal))).map((object) => object.name).sort()

  describe(`BackupLocation contract: ${name}`, () => {
    it('given an object of several chunks, when it is published, then it is there whole, and not before', async () => {
      await using ctx = await make()
      await using writer = await ctx.place.create('a/b/c.json', signal)
      const chunk = Buffer.from('hel')
      await writer.write(chunk)
      chunk.fill('x')
      await writer.write(bytes('lo'))
      assert.equal(await ctx.again().find('a/b/c.json', signal), undefined)
      assert.deepEqual(await namesIn(ctx.again(), 'a'), [])
      await writer.publish()
      assert.equal((await ctx.again().find('a/b/c.json', signal))?.sizeBytes, 5)
      assert.equal(await textAt(ctx.again(), 'a/b/c.json'), 'hello')
    })

    it('given chunks of all sizes, when published, then the bytes are these in their order', async () => {
      await using ctx = await make()
      const all = seededBytes(7, 1_500_000)
      {
        await using writer = await ctx.place.create('large', signal)
        const sizes = [1, 100_000, 200_000, 3, 262_144, 400_000]
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const size = sizes[turn % sizes.length]!
          await writer.write(all.subarray(at, at + size))
          at += size
        }
        assert.ok((await allOf(await writer.reread())).equals(all), 'can be read before it is published')
        await writer.publish()
      }
      assert.ok((await allOf(await ctx.again().open('large', signal))).equals(all))
    })

    it('given an object of no bytes, when published, then it is there', async () => {
      await using ctx = await make()
      await ctx.place.put('empty', bytes(''), signal)
      assert.equal((await ctx.place.find('empty', signal))?.sizeBytes, 0)
    })

    it('given a writer that is disposed before it published, then there is neither object nor draft', async () => {
      await using ctx = await make()
      {
        await using writer = await ctx.place.create('a/b', signal)
        await writer.write(bytes('hello'))
      }
      assert.equal(await ctx.place.find('a/b', signal), undefined)
      assert.deepEqual(await ctx.place.children('a', signal), [])
    })

    it('given two writers of one name, when both publish, then the last is what is there', async () => {
      await using ctx = await make()
      await using one = await ctx.place.create('a', signal)
      await using two = await ctx.place.create('a', signal)
      await one.write(bytes('one'))
      await two.write(bytes('two'))
      await two.publish()
      await one.publish()
      assert.equal(await textAt(ctx.place, 'a'), 'one')
    })

    it('given a name that is taken, when put, then it is replaced; when put as new, then it is not', async () => {
      await using ctx = await make()
      assert.equal(await ctx.place.putNew('lock', bytes('one'), signal), true)
      assert.equal(await ctx.again().putNew('lock', bytes('two'), signal), false)
      assert.equal(await textAt(ctx.place, 'lock'), 'one')
      await ctx.place.put('lock', bytes('three'), signal)
      assert.equal(await textAt(ctx.place, 'lock'), 'three')
    })

    it('given ten who put the same new name at once, then one wins, whole', async () => {
      await using ctx = await make()
      const won = await Promise.all(
        Array.from({ length: 10 }, (_, n) => ctx.again().putNew('locks/one', bytes(`${n}`), signal)),
      )
      assert.equal(won.filter(Boolean).length, 1)
      assert.equal(await textAt(ctx.place, 'locks/one'), String(won.indexOf(true)))
      assert.deepEqual(await ctx.place.children('locks', signal), [{ name: 'one', kind: 'object' }])
    })

    it('given an object, when parts of it are read, then they are these bytes, fewer only at the end', async () => {
      await using ctx = await make()
      await ctx.place.put('a', bytes('0123456789'), signal)
      await using reader = await ctx.place.open('a', signal)
      const into = Buffer.alloc(4)
      assert.equal(await reader.read(into, 3, signal), 4)
      assert.equal(into.toString(), '3456')
      assert.equal(await reader.read(into, 8, signal), 2)
      assert.equal(into.subarray(0, 2).toString(), '89')
      assert.equal(await reader.read(into, 10, signal), 0)
    })

    it('given no such object, then opening it says so, and finding, deleting and listing it are fine', async () => {
      await using ctx = await make()
      await assert.rejects(ctx.place.open('no/such', signal), coded('BLOB_UNKNOWN'))
      assert.equal(await ctx.place.find('no/such', signal), undefined)
      await ctx.place.delete('no/such', signal)
      await ctx.place.deleteAll('no', signal)
      assert.deepEqual(await namesIn(ctx.place, 'no'), [])
      assert.deepEqual(await ctx.place.children('no', signal), [])
    })

    it('given objects at several depths and drafts, when listed, then it is the objects below the prefix', async () => {
      await using ctx = await make()
      for (const object of ['a/1', 'a/b/2', 'a/b/c/3', 'ab/4', 'a/d.partial/5']) {
        await ctx.place.put(object, bytes(object), signal)
      }
      await using _ = await ctx.place.create('a/6', signal)
      assert.deepEqual(await namesIn(ctx.place, 'a'), ['a/1', 'a/b/2', 'a/b/c/3'])
      assert.deepEqual(await namesIn(ctx.place, 'a/d.partial'), ['a/d.partial/5'])
      assert.deepEqual(await namesIn(ctx.place, ''), ['a/1', 'a/b/2', 'a/b/c/3', 'ab/4'])
      assert.deepEqual(await ctx.place.children('a', signal), [
        { name: '1', kind: 'object' },
        { name: '6.partial', kind: 'object' },
        { name: 'b', kind: 'folder' },
        { name: 'd.partial', kind: 'folder' },
      ])
    })

    it('given a draft folder, when it is renamed, then all of it has the other name, and the old one is free', async () => {
      await using ctx = await make()
      await ctx.place.put('n/run.partial/a/b', bytes('hello'), signal)
      await ctx.place.put('n/run.partial/c', bytes('there'), signal)
      await ctx.place.rename('n/run.partial', 'n/run', signal)
      assert.deepEqual(await namesIn(ctx.again(), 'n'), ['n/run/a/b', 'n/run/c'])
      await ctx.place.put('n/run.partial/a/b', bytes('second'), signal)
      await assert.rejects(ctx.place.rename('n/run.partial', 'n/run', signal), coded('RESOURCE_EXISTED'))
      assert.equal(await textAt(ctx.place, 'n/run/a/b'), 'hello')
      await ctx.place.deleteAll('n/run.partial', signal)
      assert.deepEqual(await ctx.place.children('n', signal), [{ name: 'run', kind: 'folder' }])
      await ctx.place.put('n/run.partial/a/b', bytes('third'), signal)
      await ctx.place.rename('n/run.partial', 'n/third', signal)
      assert.equal(await textAt(ctx.again(), 'n/third/a/b'), 'third')
    })

    it('given objects, when one or all below a prefix are deleted, then these are gone and no others', async () => {
      await using ctx = await make()
      for (const object of ['a/1', 'a/2', 'a/b/3', 'ab/4']) await ctx.place.put(object, bytes('x'), signal)
      await ctx.place.delete('a/1', signal)
      await ctx.place.delete('a/1', signal)
      assert.deepEqual(await namesIn(ctx.again(), ''), ['a/2', 'a/b/3', 'ab/4'])
      await ctx.place.deleteAll('a', signal)
      assert.deepEqual(await namesIn(ctx.again(), ''), ['ab/4'])
      await ctx.place.put('a/b/5', bytes('x'), signal)
      assert.deepEqual(await namesIn(ctx.again(), 'a'), ['a/b/5'])
    })

    for (const hostile of HOSTILE) {
      it(`given the name ${JSON.stringify(hostile)}, when anything is done with it, then it is refused`, async () => {
        await using ctx = await make()
        const { place } = ctx
        const refused = coded('PATH_INVALID')
        await assert.rejects(async () => place.create(hostile, signal), refused)
        await assert.rejects(place.put(hostile, bytes('x'), signal), refused)
        await assert.rejects(place.putNew(hostile, bytes('x'), signal), refused)
        await assert.rejects(place.open(hostile, signal), refused)
        await assert.rejects(place.find(hostile, signal), refused)
        await assert.rejects(place.delete(hostile, signal), refused)
        await assert.rejects(place.deleteAll(hostile, signal), refused)
        await assert.rejects(place.deleteIfEmpty(hostile, signal), refused)
        if (hostile !== '') await assert.rejects(place.sync(hostile, signal), refused)
        await assert.rejects(place.rename(hostile, 'a', signal), refused)
        await assert.rejects(place.rename('a', hostile, signal), refused)
        if (hostile !== '') await assert.rejects(namesIn(place, hostile), refused)
      })
    }

    it('given folders, when they are to go where they are empty, then what holds anything stays, and so does its place', async () => {
      await using ctx = await make()
      const { place } = ctx
      await place.put('a/b/c', bytes('x'), signal)
      await place.deleteIfEmpty('a/b', signal)
      await place.deleteIfEmpty('a/b/c', signal)
      await place.deleteIfEmpty('never', signal)
      assert.deepEqual(await namesIn(ctx.again(), ''), ['a/b/c'])
      await place.delete('a/b/c', signal)
      await place.deleteIfEmpty('a', signal)
      await place.deleteIfEmpty('a/b', signal)
      assert.deepEqual(await ctx.again().children('a', signal), [])
      await place.put('a/b/d', bytes('x'), signal)
      assert.deepEqual(await namesIn(ctx.again(), ''), ['a/b/d'])
    })

    it('given folders, when their names are to be durable, then what is missing is fine, and nothing else changes', async () => {
      await using ctx = await make()
      await ctx.place.put('a/b/c', bytes('x'), signal)
      for (const prefix of ['', 'a', 'a/b', 'a/b/c', 'never/was']) await ctx.again().sync(prefix, signal)
      assert.deepEqual(await namesIn(ctx.again(), ''), ['a/b/c'])
    })

    it('given an aborted signal, when anything is begun, then it is refused with its reason', async () => {
      await using ctx = await make()
      const aborted = AbortSignal.abort(new Error('enough'))
      await assert.rejects(async () => ctx.place.create('a', aborted), /enough/)
      await assert.rejects(ctx.place.put('a', bytes('x'), aborted), /enough/)
      await assert.rejects(ctx.place.open('a', aborted), /enough/)
    })
  })
}
