import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { manualClock } from '../../../test/helpers/clock.ts'
import type { Digest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import { createStoredCheck } from './stored-check.ts'

/** A store of these bytes, which takes a second for each chunk of one byte. */
function slowStore(contents: ReadonlyMap<Digest, string>) {
  const clock = manualClock()
  const opened: number[] = []
  const open = async (digest: Digest, range: { readonly start: number } | undefined) => {
    const text = contents.get(digest)
    if (text === undefined) throw new AppError('BLOB_UNKNOWN', 'gone')
    opened.push(range?.start ?? 0)
    async function* chunks() {
      for (const byte of text!.slice(range?.start ?? 0)) {
        await clock.advance(1_000)
        yield Buffer.from(byte)
      }
    }
    return Readable.from(chunks(), { objectMode: true, highWaterMark: 1 })
  }
  return { opened, check: createStoredCheck({ store: { open } as never, clock }).check }
}

it('given contents as they should be, others and none, when checked, then the wrong ones are named', async (t) => {
  const good = digestOf('a')
  const contents = new Map([
    [good, 'a'],
    [digestOf('b'), 'x'],
  ])
  const { check } = slowStore(contents)
  const found: string[] = []
  let rest = [good, digestOf('b'), digestOf('c'), good]
  while (rest.length > 0) {
    const { done, wrong } = await check(rest, t.signal)
    found.push(...wrong.map(({ at, fault }) => `${rest[at] === digestOf('b') ? 'b' : 'c'} ${fault}`))
    rest = rest.slice(done)
  }
  assert.deepEqual(found, ['b DAMAGED', 'c MISSING'])
})

it('given a large content, when its time is over, then the next call goes on where it stopped', async (t) => {
  const text = 'a large content'
  const { check, opened } = slowStore(new Map([[digestOf(text), text]]))
  let bytes = 0
  for (let calls = 1; ; calls++) {
    const part = await check([digestOf(text)], t.signal)
    assert.ok(calls <= text.length + 1, 'each call gets on')
    bytes += part.bytes
    if (part.done === 0) continue
    assert.deepEqual(part.wrong, [])
    break
  }
  assert.equal(bytes, text.length, 'nothing is read twice')
  assert.deepEqual(
    opened,
    [...opened].sort((a, b) => a - b),
  )
  assert.ok(opened.length > 2)
})
