import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { digestOfBytes } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import { packHeader, readPack } from './pack.ts'

const blobs = ['', 'a', 'bb'.repeat(5000), '\u0000\u0001', 'last'].map((text) => Buffer.from(text))
const packed = Buffer.concat(blobs.flatMap((bytes) => [packHeader(digestOfBytes(bytes), bytes.length), bytes]))

async function read(body: Buffer, chunkBytes: number, maxBytes = 65_536): Promise<Buffer[]> {
  const chunks = Array.from({ length: Math.ceil(body.length / chunkBytes) }, (_, n) =>
    body.subarray(n * chunkBytes, (n + 1) * chunkBytes),
  )
  const found: Buffer[] = []
  for await (const { digest, bytes } of readPack(Readable.from(chunks), maxBytes)) {
    assert.equal(digest, digestOfBytes(bytes))
    found.push(Buffer.from(bytes))
  }
  return found
}

describe('pack of blobs', () => {
  for (const chunkBytes of [1, 7, 36, 1000, 1_000_000]) {
    it(`given chunks of ${chunkBytes} bytes, when the pack is read, then every blob comes out as it went in`, async () => {
      assert.deepEqual(await read(packed, chunkBytes), blobs)
    })
  }
  it('given an empty body, when read, then there is no blob', async () => {
    assert.deepEqual(await read(Buffer.alloc(0), 10), [])
  })
  it('given a body that ends inside a header or a blob, when read, then it is refused as broken', async () => {
    for (const cut of [1, 35, packed.length - 1]) {
      await assert.rejects(read(packed.subarray(0, cut), 1000), (error) => hasCode(error, 'ARTIFACT_BROKEN'))
    }
  })
  it('given a blob announced larger than allowed, when read, then it is refused before its bytes are held', async () => {
    await assert.rejects(read(packed, 1000, 9_999), (error) => hasCode(error, 'ARTIFACT_BROKEN'))
  })
})
