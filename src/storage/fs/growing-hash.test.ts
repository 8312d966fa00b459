import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { tempDir } from '../../../test/helpers/temp.ts'
import type { HashName } from '../running-hashes.ts'
import { createGrowingHash } from './growing-hash.ts'
import { createHashThread, type HashThread } from './hash-thread.ts'

const MIB = 1024 * 1024
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const { signal } = new AbortController()

async function onFile(
  test: (on: {
    readonly file: FileHandle
    readonly thread: HashThread
    write(bytes: Buffer, at: number): Promise<void>
  }) => Promise<void>,
): Promise<void> {
  await using dir = await tempDir()
  await using file = await open(dir.file('content'), 'wx+')
  await using thread = createHashThread()
  const write = async (bytes: Buffer, at: number) => void (await file.write(bytes, 0, bytes.length, at))
  await test({ file, thread, write })
}

describe('the hash of a file that grows', () => {
  for (const sizeBytes of [0, 1, MIB, MIB + 1, 20 * MIB + 3]) {
    it(`given ${sizeBytes} bytes that are followed, when asked, then all hashes are those of the bytes`, () =>
      onFile(async ({ file, thread, write }) => {
        const names = ['sha256', 'sha512', 'md5', 'crc64'] as const satisfies HashName[]
        const hash = createGrowingHash(thread, names)
        const bytes = randomBytes(sizeBytes)
        for (let at = 0; at < sizeBytes; at += 300_000) {
          const chunk = bytes.subarray(at, at + 300_000)
          await write(chunk, at)
          hash.follow(chunk, at)
          void hash.reach(file, at + chunk.length)
        }
        const values = await hash.values(file, sizeBytes, signal)
        for (const name of ['sha256', 'sha512', 'md5'] as const) {
          assert.equal(values[name], createHash(name).update(bytes).digest('hex'))
        }
        assert.match(values.crc64 ?? '', /^\d+$/)
        await hash.end()
      }))
  }

  for (const [first, end] of [
    [3, 2],
    [9, 2],
    [9, 0],
    [1, 0],
  ] as const) {
    it(`given a file of ${first} MiB that is cut to ${end} while it is hashed, when it grows again, then the hash is that of the other bytes`, () =>
      onFile(async ({ file, thread, write }) => {
        const hash = createGrowingHash(thread, ['sha256'])
        const bytes = randomBytes(first * MIB)
        await write(bytes, 0)
        hash.follow(bytes, 0)
        const reaching = hash.reach(file, bytes.length).catch(() => {})
        hash.cut(end * MIB)
        await file.truncate(end * MIB)
        await reaching
        const more = randomBytes(5 * MIB)
        const whole = Buffer.concat([bytes.subarray(0, end * MIB), more])
        await write(more, end * MIB)
        hash.follow(more, end * MIB)
        assert.equal((await hash.values(file, whole.length, signal)).sha256, sha256(whole))
        await hash.end()
      }))
  }

  it('given a thread that is lost, when asked, then the file is read again', () =>
    onFile(async ({ file, thread, write }) => {
      const hash = createGrowingHash(thread, ['sha256'])
      const bytes = randomBytes(10 * MIB)
      await write(bytes, 0)
      await hash.reach(file, 6 * MIB)
      await thread[Symbol.asyncDispose]()
      assert.equal((await hash.values(file, bytes.length, signal)).sha256, sha256(bytes))
    }))

  it('given a file that is shorter than told, when asked, then it fails, and is right once the bytes are there', () =>
    onFile(async ({ file, thread, write }) => {
      const hash = createGrowingHash(thread, ['sha256'])
      const bytes = randomBytes(3 * MIB)
      await write(bytes.subarray(0, 2 * MIB), 0)
      await assert.rejects(hash.values(file, bytes.length, signal), /shorter/)
      await write(bytes, 0)
      assert.equal((await hash.values(file, bytes.length, signal)).sha256, sha256(bytes))
    }))

  it('given many files at once, when hashed by one thread, then each is right', () =>
    onFile(async ({ file, thread, write }) => {
      const bytes = randomBytes(12 * MIB)
      await write(bytes, 0)
      const lengths = Array.from({ length: 8 }, (_, index) => (index + 2) * MIB + index)
      const found = await Promise.all(
        lengths.map((length) => createGrowingHash(thread, ['sha256']).values(file, length, signal)),
      )
      assert.deepEqual(
        found.map((values) => values.sha256),
        lengths.map((length) => sha256(bytes.subarray(0, length))),
      )
    }))
})
