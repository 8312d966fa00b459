import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { it } from 'node:test'
import { seededRandom } from '../../../../test/helpers/ids.ts'
import { hasCode } from '../../../core/errors.ts'
import { entryKey } from './entry.ts'
import { type FramePlace, openFrame, sealedBytes, sealFrame } from './frame.ts'
import { newSeal, type ObjectSeal } from './object-seal.ts'
import { openObject, sealObject } from './sealed-object.ts'

const random = seededRandom()
const [master, salt, id] = [random.bytes(32), random.bytes(32), random.bytes(16)]
const place: FramePlace = { about: entryKey('content', random.bytes(32)), offset: 40, position: 'last' }

function sealed(seal: ObjectSeal, plain: Buffer, compression: 'zstd' | 'none' = 'none'): Buffer {
  const into = Buffer.alloc(sealedBytes(seal, plain.length))
  return into.subarray(0, sealFrame(seal, place, plain, compression, into))
}
function opened(seal: ObjectSeal, at: FramePlace, frame: Buffer): Buffer {
  const into = Buffer.alloc(1_000_000)
  return into.subarray(0, openFrame(seal, at, frame, into))
}
const broken = (work: () => unknown) => assert.throws(work, (error) => hasCode(error, 'ARTIFACT_BROKEN'))

for (const key of [master, undefined]) {
  const way = key === undefined ? 'with sums' : 'encrypted'

  it(`given bytes, when a frame of them ${way} is opened at its place, then they come back; anywhere else it is refused`, () => {
    const seal = newSeal('data', id, key, salt)
    for (const length of [0, 1, 70_000]) {
      const plain = random.bytes(length)
      const frame = sealed(seal, plain)
      assert.deepEqual(opened(seal, place, frame), plain)
      broken(() => opened(seal, { ...place, offset: 41 }, frame))
      broken(() => opened(seal, { ...place, position: 'more' }, frame))
      broken(() => opened(seal, { ...place, about: entryKey('records', place.about.subarray(0, 32)) }, frame))
      broken(() => opened(newSeal('data', random.bytes(16), key, salt), place, frame))
      broken(() => opened(seal, place, frame.subarray(0, -1)))
      broken(() => opened(seal, place, Buffer.concat([frame, Buffer.alloc(1)])))
    }
  })

  it(`given words, when a frame ${way} is compressed, then it is smaller; what gains nothing stays as it is`, () => {
    const seal = newSeal('data', id, key, salt)
    const words = Buffer.from('word '.repeat(10_000))
    const frame = sealed(seal, words, 'zstd')
    assert.ok(frame.length < 1_000)
    assert.deepEqual(opened(seal, place, frame), words)
    const noise = random.bytes(5_000)
    assert.deepEqual(sealed(seal, noise, 'zstd'), sealed(seal, noise, 'none'))
    // A frame that says it holds more than its reader has room for.
    broken(() => openFrame(seal, place, frame, Buffer.alloc(1_000)))
  })

  it(`given an object ${way}, when it is opened as another kind or with another key, then it is refused`, () => {
    const object = sealObject({ kind: 'index', id, master: key }, Buffer.from('payload'), salt)
    assert.equal(openObject({ kind: 'index', id, master: key }, object).toString(), 'payload')
    broken(() => openObject({ kind: 'snapshot', id, master: key }, object))
    broken(() => openObject({ kind: 'index', id: random.bytes(16), master: key }, object))
    broken(() => openObject({ kind: 'index', id, master: random.bytes(32) }, object))
    broken(() => openObject({ kind: 'index', id, master: undefined === key ? master : undefined }, object))
    broken(() => openObject({ kind: 'index', id, master: key }, object.subarray(0, 20)))
  })
}

it('given known keys, when objects are sealed, then their bytes are those of format 1', () => {
  const [zeros, ones] = [Buffer.alloc(32), Buffer.alloc(16, 1)]
  const plain = sealObject({ kind: 'marks', id: ones, master: undefined }, Buffer.from('{}'), zeros)
  assert.equal(plain.toString('hex'), GOLDEN.sums)
  const encrypted = sealObject({ kind: 'marks', id: ones, master: zeros }, Buffer.from('{}'), zeros)
  assert.equal(encrypted.toString('hex'), GOLDEN.encrypted)
  const large = sealObject({ kind: 'index', id: ones, master: zeros }, Buffer.alloc(100_000), zeros)
  assert.equal(hash('sha256', large), GOLDEN.large)
})

/** A change of these makes backups unreadable that were made before. */
const GOLDEN = {
  sums: '45424b50010400000000000000000000000000000000000000000000000000000000000000000000000000027b7d3dd0644e',
  encrypted:
    '45424b50010401000000000000000000000000000000000000000000000000000000000000000000000000025db294e96829934d558f9c1f7bcfce500f0e',
  large: '49ae92ed0c1aa6f04a4ae32f3dc5b18bbee88a934bd0f0095542200abeff439f',
}
