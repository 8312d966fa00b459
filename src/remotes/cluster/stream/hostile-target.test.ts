import assert from 'node:assert/strict'
import type { ClientRequest } from 'node:http'
import { PassThrough, Writable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { manualClock } from '../../../../test/helpers/clock.ts'
import { BEGIN, entryOf } from '../../../../test/helpers/frames.ts'
import { LinkDown, RemoteRefusal } from '../../transport/failures.ts'
import type { OutgoingItem } from '../frame-stream.ts'
import type { ItemException, SourceFrame, StreamBegin, TargetFrame } from '../frames/frame.ts'
import { encodeFrame } from '../frames/frame-encoder.ts'
import { readSourceFrames } from '../frames/frame-reader.ts'
import { createSealReader } from '../frames/sealed-blocks.ts'
import { createFrameStream, type StreamWay } from './frame-stream-client.ts'

interface Line {
  readonly duplex: StreamWay['duplex']
  readonly begin?: StreamBegin
  /** Answers of requests with a whole body. */
  readonly post?: () => Buffer
  /** Requests are blocks with sums. */
  readonly seals?: boolean
}

/** A stream to a target that says what the test lets it say. */
function lineTo(t: TestContext, { duplex, begin = BEGIN, post = () => Buffer.alloc(0), seals = false }: Line) {
  const clock = manualClock()
  const received: SourceFrame[] = []
  const response = Object.assign(new PassThrough(), { statusCode: 200, headers: {} })
  const reader = readSourceFrames(65_536)
  const blocks = createSealReader()
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const part of seals ? blocks.push(chunk) : [chunk]) received.push(...reader.push(part))
      done()
    },
  })
  const request = Object.assign(out, { socket: { connecting: false }, protocol: 'http:' })
  request.on('error', () => undefined)
  const progress = { acknowledged: 0 }
  const stream = createFrameStream(
    {
      transport: {
        request: () => request as unknown as ClientRequest,
        seals: () => seals,
        accept: async () => undefined,
        failureOf: (error) => error as Error,
        post: async () => post(),
      },
      way: {
        duplex,
        line: { add: () => undefined, begin: () => () => undefined, isSlow: false },
        takesBundles: () => false,
      },
      ...{ begin, clock },
      progress: { sent: () => undefined, acknowledged: () => void progress.acknowledged++ },
    },
    t.signal,
  )
  return {
    ...{ stream, clock, received, request, progress },
    answer: () => request.emit('response', response),
    say: (...frames: readonly TargetFrame[]) => void response.write(Buffer.concat(frames.map(encodeFrame))),
    end: () => void response.end(encodeFrame({ type: 'end' })),
  }
}

const items = (count: number, bytes = 10): OutgoingItem[] =>
  Array.from({ length: count }, (_, n) => {
    const { item: _item, ...entry } = entryOf(n + 1, { content: Buffer.alloc(bytes, n), sizeBytes: bytes })
    return entry
  })
const ack = (hi: number, exceptions: readonly ItemException[] = []): TargetFrame => ({
  type: 'ack',
  hi,
  seq: 0,
  exceptions,
})
const except = (item: number, result: ItemException['result'], reason = ''): ItemException => ({
  ...{ item, result, reason, remote: null },
})
const isDown = (why: RegExp) => (error: unknown) => error instanceof LinkDown && why.test(error.message)

describe('acknowledgements that cannot be', () => {
  it('given items that were never sent, settled twice or out of order, when acknowledged, then the line is down', async (t) => {
    const cases: readonly (readonly [string, readonly TargetFrame[], RegExp])[] = [
      ['never sent', [ack(6)], /item 6, where 5 were sent/],
      ['never sent, after some that were', [ack(3), ack(99)], /item 99, where 5 were sent/],
      ['twice', [ack(3), ack(3)], /item 3 twice/],
      ['before the first', [ack(0)], /item 0 twice/],
      ['out of order', [ack(4), ack(2)], /item 2 twice/],
      ['an exception of an earlier one', [ack(2), ack(4, [except(1, 'kept')])], /settled item 1 twice/],
      ['two exceptions of one', [ack(4, [except(3, 'kept'), except(3, 'refused')])], /settled item 3 twice/],
    ]
    for (const [what, frames, why] of cases) {
      const line = lineTo(t, { duplex: 'open' })
      const sending = line.stream.send(items(5))
      await setImmediate()
      line.answer()
      line.say(...frames)
      await assert.rejects(sending, isDown(why), what)
      await assert.rejects(line.stream.end(), LinkDown, what)
    }
  })
})

it('given blocks with sums, when the answer is not said to be the same, then its head changed on the way and the line is down', async (t) => {
  const line = lineTo(t, { duplex: 'open', seals: true })
  const sending = line.stream.send(items(5))
  await setImmediate()
  line.answer()
  line.say(ack(5))
  await assert.rejects(sending, isDown(/changed on its way/))
  assert.equal(line.received[0]?.type, 'begin')
})

describe('a target that says something and settles nothing', () => {
  const talking = async (line: ReturnType<typeof lineTo>, ms: number) => {
    for (let passed = 0; passed < ms; passed += 7_500) {
      line.say({ type: 'ping', token: 0 })
      await setImmediate()
      await line.clock.advance(7_500)
    }
  }

  it('given items under way, when only pings come for five minutes, then the line is down', async (t) => {
    const line = lineTo(t, { duplex: 'open' })
    const sending = line.stream.send(items(5))
    await setImmediate()
    line.answer()
    await talking(line, 240_000)
    line.say(ack(1))
    await talking(line, 292_500)
    line.say(ack(2))
    await talking(line, 307_500)
    await assert.rejects(sending, isDown(/settled nothing for 300000 ms/))
  })

  it('given the end was sent, when the end of the target does not come, then the line is down', async (t) => {
    const line = lineTo(t, { duplex: 'open' })
    const sending = line.stream.send(items(2))
    await setImmediate()
    line.answer()
    line.say(ack(2))
    await sending
    const ending = line.stream.end()
    await talking(line, 315_000)
    await assert.rejects(ending, isDown(/settled nothing/))
  })

  it('given nothing to settle, when pings come for an hour, then the line stays', async (t) => {
    const line = lineTo(t, { duplex: 'open' })
    const sending = line.stream.send(items(2))
    await setImmediate()
    line.answer()
    line.say(ack(2))
    await sending
    await talking(line, 3_600_000)
    const more = line.stream.send(items(1))
    await setImmediate()
    line.say(ack(3))
    assert.equal((await more).length, 1)
  })
})

describe('what a target says of items', () => {
  it('given items that were there already, when acknowledged, then that is no progress; one that was written is', async (t) => {
    const line = lineTo(t, { duplex: 'open' })
    const sending = line.stream.send(items(9))
    await setImmediate()
    line.answer()
    const old = ['unchanged', 'kept', 'delivered', 'refused', 'no-blob', 'retry', 'superseded'] as const
    line.say(
      ack(
        7,
        old.map((result, n) => except(n + 1, result)),
      ),
    )
    await setImmediate()
    assert.equal(line.progress.acknowledged, 0)
    line.say(ack(8, [except(8, 'replaced')]))
    await setImmediate()
    assert.equal(line.progress.acknowledged, 1)
    line.say(ack(9))
    await sending
    assert.equal(line.progress.acknowledged, 2)
  })

  it('given reasons that no database takes, when told, then they are cut and cleaned', async (t) => {
    const line = lineTo(t, { duplex: 'open' })
    const sending = line.stream.send(items(2))
    await setImmediate()
    line.answer()
    line.say(ack(2, [except(1, 'refused', 'nul \0 and \u001b[2J'), except(2, 'refused', 'x'.repeat(1_300))]))
    assert.deepEqual(
      (await sending).map(({ reason }) => reason),
      ['nul   and  [2J', 'x'.repeat(1_000)],
    )
    const refused = line.stream.send(items(1))
    await setImmediate()
    line.say({ type: 'refused', code: 250133, status: 412, reason: `\0${'y'.repeat(1_200)}` })
    await assert.rejects(
      refused,
      (error) => error instanceof RemoteRefusal && error.message === ` ${'y'.repeat(999)} (250133)`,
    )
  })

  it('given a stream that stops at failures, when one fails on a way that turns out to buffer, then no further request is made', async (t) => {
    const posts: number[] = []
    const post = () => {
      posts.push(1)
      return Buffer.alloc(0)
    }
    const line = lineTo(t, { duplex: 'unknown', begin: { ...BEGIN, stopAtFailure: true }, post })
    const sending = line.stream.send(items(200, 60_000))
    await line.clock.untilSleeping(2)
    await line.clock.advance(1_000)
    await setImmediate()
    const hi = line.received.filter(({ type }) => type === 'entry').length
    assert.ok(hi > 1 && hi < 200 && line.received.at(-1)?.type === 'end')
    line.answer()
    const rest = Array.from({ length: hi - 1 }, (_, n) => except(n + 2, 'not-tried'))
    line.say(ack(hi, [except(1, 'refused', 'no'), ...rest]))
    line.end()
    const outcomes = await sending
    assert.deepEqual(new Set(outcomes.slice(1).map(({ result }) => result)), new Set(['not-tried']))
    assert.equal(posts.length, 0)
    await line.stream.end()
  })
})
