import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOfBytes } from '../../core/digest.ts'
import { contentAt, RECORD_HEADER_BYTES, recordHeaders } from './record.ts'

const contents = ['hello', '', 'world'].map((text) => ({ digest: digestOfBytes(text), bytes: Buffer.from(text) }))

function written(): { readonly bytes: Buffer; readonly offsets: number[] } {
  const headers = recordHeaders(contents)
  const offsets: number[] = []
  const parts: Buffer[] = []
  let at = 0
  for (const [index, { bytes }] of contents.entries()) {
    parts.push(headers.subarray(index * RECORD_HEADER_BYTES, (index + 1) * RECORD_HEADER_BYTES), bytes)
    offsets.push(at + RECORD_HEADER_BYTES)
    at += RECORD_HEADER_BYTES + bytes.length
  }
  return { bytes: Buffer.concat(parts), offsets }
}

it('given records, when read at their offsets, then each content is the one that was written', () => {
  const { bytes, offsets } = written()
  for (const [index, content] of contents.entries()) {
    const read = contentAt(bytes, offsets[index]!, content.digest, content.bytes.length)
    assert.ok(read?.equals(content.bytes))
  }
})

it('given a record, when any bit of it is another, then there is no content', () => {
  const { bytes, offsets } = written()
  const end = offsets[0]! + 5
  for (let at = 0; at < end; at++) {
    const wrong = Buffer.from(bytes)
    wrong[at]! ^= 1 << (at % 8)
    assert.equal(contentAt(wrong, offsets[0]!, contents[0]!.digest, 5), undefined, `byte ${at}`)
  }
})

it('given a record that is cut short, when read, then there is no content', () => {
  const { bytes, offsets } = written()
  for (let length = 0; length < offsets[0]! + 5; length++) {
    assert.equal(contentAt(bytes.subarray(0, length), offsets[0]!, contents[0]!.digest, 5), undefined)
  }
})

it('given a record of another blob, or another size, when read, then there is no content', () => {
  const { bytes, offsets } = written()
  assert.equal(contentAt(bytes, offsets[0]!, contents[2]!.digest, 5), undefined)
  assert.equal(contentAt(bytes, offsets[0]!, contents[0]!.digest, 4), undefined)
  assert.equal(contentAt(bytes, 3, contents[0]!.digest, 5), undefined)
})
