import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { digestOf, streamOf, textOf } from '../../../test/helpers/blobs.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { createMemorySegmentIndex } from '../memory/segment-index.ts'
import { openFsBlobStore } from './blob-store.ts'

blobStoreContract('fs', async () => {
  const dir = await tempDir()
  const index = createMemorySegmentIndex()
  const config = { root: dir.file('blobs'), owner: 'one', index }
  return {
    index,
    store: await openFsBlobStore(config),
    leftovers: async () => (await readdir(dir.file('blobs', '.staging', 'one'))).length,
    restart: () => openFsBlobStore(config),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
})

const signal = new AbortController().signal

it('given a root shared by two owners, when one starts, then what the other has staged stays', async () => {
  await using dir = await tempDir()
  const one = await openFsBlobStore({ root: dir.path, owner: 'one', index: createMemorySegmentIndex() })
  await using staged = await one.receive(streamOf('hello'), {}, signal)
  const two = await openFsBlobStore({ root: dir.path, owner: 'two', index: createMemorySegmentIndex() })
  await staged.publish(signal)
  assert.equal(await textOf(await two.open(staged.digest, undefined, signal)), 'hello')
})

it('given a published blob, when its file is looked for, then it lies under two levels of its digest', async () => {
  await using dir = await tempDir()
  const store = await openFsBlobStore({ root: dir.path, owner: 'one', index: createMemorySegmentIndex() })
  await using staged = await store.receive(streamOf('hello'), {}, signal)
  await staged.publish(signal)
  assert.deepEqual(await readdir(dir.file('2c', 'f2')), [digestOf('hello').slice(7)])
})

it('given an opened blob to which nobody listens yet, when the caller gives up, then the process lives and reading it fails', async () => {
  await using dir = await tempDir()
  const store = await openFsBlobStore({ root: dir.path, owner: 'one', index: createMemorySegmentIndex() })
  await using staged = await store.receive(streamOf(Buffer.alloc(1_000_000, 1)), {}, signal)
  await staged.publish(signal)
  const caller = new AbortController()
  const stream = await store.open(staged.digest, undefined, caller.signal)
  caller.abort()
  await setImmediate()
  await assert.rejects(textOf(stream))
})

it('given foreign files in the root, when listed, then they are no blobs', async () => {
  await using dir = await tempDir()
  const store = await openFsBlobStore({ root: dir.path, owner: 'one', index: createMemorySegmentIndex() })
  await using staged = await store.receive(streamOf('hello'), {}, signal)
  await staged.publish(signal)
  await writeFile(dir.file('2c', 'f2', 'README'), 'not a blob')
  await writeFile(dir.file('lost+found'), '')
  assert.equal((await Array.fromAsync(store.list(signal))).length, 1)
})
