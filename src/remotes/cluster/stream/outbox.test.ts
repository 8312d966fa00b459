import assert from 'node:assert/strict'
import { it } from 'node:test'
import { entryOf } from '../../../../test/helpers/frames.ts'
import type { OutgoingItem } from '../frame-stream.ts'
import { createFrameEncoder } from '../frames/frame-encoder.ts'
import { FRAME_NUMBER } from '../frames/frame-kinds.ts'
import { createOutbox } from './outbox.ts'

const items = (count: number): OutgoingItem[] =>
  Array.from({ length: count }, (_, n) => entryOf(n + 1, { content: undefined, sizeBytes: 10 }))
/** u32 length, then the type. */
function typesIn(bytes: Buffer): number[] {
  const types: number[] = []
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) types.push(bytes[at + 4]!)
  return types
}

it('given items that are flushed, when they go out, then one barrier follows the last of them, and none where nothing waits', () => {
  const outbox = createOutbox()
  const encoder = createFrameEncoder()
  const filled = () => {
    outbox.fill(encoder, 1_000_000)
    return typesIn(Buffer.concat(encoder.take()))
  }
  void outbox.send(items(2))
  outbox.flush()
  void outbox.send(items(1))
  outbox.flush()
  const { entry, barrier } = FRAME_NUMBER
  assert.deepEqual(filled(), [entry, entry, entry, barrier])
  outbox.flush()
  assert.deepEqual(filled(), [])
  void outbox.send(items(1))
  assert.deepEqual(filled(), [entry])
})

it('given a budget that ends before the last item, when flushed, then the barrier waits for it', () => {
  const outbox = createOutbox()
  const encoder = createFrameEncoder()
  void outbox.send(items(2))
  outbox.flush()
  outbox.fill(encoder, 1)
  assert.deepEqual(typesIn(Buffer.concat(encoder.take())), [FRAME_NUMBER.entry])
  outbox.fill(encoder, 1)
  assert.deepEqual(typesIn(Buffer.concat(encoder.take())), [FRAME_NUMBER.entry, FRAME_NUMBER.barrier])
})
