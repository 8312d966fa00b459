import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOfBytes } from '../../core/digest.ts'
import { createManifestReader, readFacts } from './manifest-facts.ts'

const [ONE, TWO, THREE] = ['1', '2', '3'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string, string]

describe('what manifests name', () => {
  it('given an image and an index, when read, then they name blobs, children with platforms, and what attestations are about', () => {
    const image = { config: { digest: ONE }, layers: [{ digest: TWO }, { digest: 'md5:1' }] }
    assert.deepEqual(readFacts(Buffer.from(JSON.stringify(image))), { blobs: [ONE, TWO], children: undefined })
    const index = {
      manifests: [
        { digest: ONE, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
        {
          digest: TWO,
          platform: { os: 'unknown', architecture: 'unknown' },
          annotations: { 'vnd.docker.reference.digest': ONE },
        },
        { digest: THREE },
      ],
    }
    assert.deepEqual(readFacts(Buffer.from(JSON.stringify(index)))?.children, [
      { digest: ONE, platform: { os: 'linux', architecture: 'arm', variant: 'v7' }, about: undefined },
      { digest: TWO, platform: { os: 'unknown', architecture: 'unknown' }, about: ONE },
      { digest: THREE, platform: undefined, about: undefined },
    ])
  })

  it('given bytes that are no manifest, when read, then there is nothing to know', () => {
    for (const text of ['', '[]', 'null', '{"manifests": 1', '"text"'])
      assert.equal(readFacts(Buffer.from(text)), undefined)
    const odd = '{"manifests": [1, null, {"digest": 5}], "layers": {}, "config": []}'
    assert.deepEqual(readFacts(Buffer.from(odd)), { blobs: [], children: [] })
  })

  it('given manifests, when asked for twice, then each is read once, and one that is missing is left out', async () => {
    const bytes = Buffer.from(JSON.stringify({ layers: [{ digest: ONE }] }))
    const there = { digest: digestOfBytes(bytes), sizeBytes: bytes.length }
    const gone = { digest: digestOfBytes(Buffer.from('gone')), sizeBytes: 4 }
    let reads = 0
    const read = createManifestReader({
      async readMany(blobs) {
        reads += blobs.length
        return new Map(blobs.some(({ digest }) => digest === there.digest) ? [[there.digest, bytes]] : [])
      },
    })
    assert.deepEqual([...(await read([there, gone])).keys()], [there.digest])
    assert.equal(reads, 2)
    assert.deepEqual((await read([there])).get(there.digest)?.blobs, [ONE])
    assert.equal(reads, 2)
  })
})
