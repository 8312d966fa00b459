import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import { describe, it } from 'node:test'
import { faultyProxy, listen } from './faulty-proxy.ts'
import { afterBytes, atFrame, type StopPlace } from './stop-places.ts'

/** Answers with what it is sent, as it comes. */
async function echoServer(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((incoming, outgoing) => {
    incoming.on('error', () => undefined)
    outgoing.flushHeaders()
    incoming.pipe(outgoing)
  })
  const url = await listen(server)
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function post(url: string) {
  const outgoing = request(url, { method: 'POST', agent: false, headers: { 'transfer-encoding': 'chunked' } })
  outgoing.on('error', () => undefined)
  outgoing.flushHeaders()
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
  return { outgoing, answered }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  try {
    for await (const chunk of answer) text += (chunk as Buffer).toString('latin1')
  } catch {}
  return text
}

const frame = (type: number, payload: string) => {
  const bytes = Buffer.alloc(5 + payload.length)
  bytes.writeUInt32BE(1 + payload.length, 0)
  bytes[4] = type
  bytes.write(payload, 5, 'latin1')
  return bytes
}

describe('a proxy that passes on what comes', () => {
  it('given a request that has not ended, when its answer begins, then both go on at the same time', async () => {
    await using echo = await echoServer()
    await using line = await faultyProxy(echo.url)
    const { outgoing, answered } = post(line.url)
    const [answer] = await answered
    for (const word of ['one', 'two', 'three']) {
      outgoing.write(word)
      assert.equal(String((await once(answer, 'data'))[0]), word)
    }
    outgoing.end()
    assert.equal(await textOf(answer), '')
    assert.equal(line.bodyBytes(), 11)
  })

  it('given it buffers, when a request has not ended, then the target sees none of it, and all of it at its end', async () => {
    await using echo = await echoServer()
    await using line = await faultyProxy(echo.url, 'buffering')
    const { outgoing, answered } = post(line.url)
    outgoing.write('one')
    outgoing.end('two')
    const [answer] = await answered
    assert.equal(await textOf(answer), 'onetwo')
  })

  for (const direction of ['request', 'answer'] as const) {
    it(`given a place in the ${direction}, when it is reached, then the rest is held, and goes on or is cut`, async () => {
      await using echo = await echoServer()
      await using line = await faultyProxy(echo.url)
      for (const decision of ['go on', 'cut'] as const) {
        let called = 0
        const reached = async () => {
          called++
          return decision
        }
        line.script(() => ({ at: afterBytes(direction, 4), reached }))
        const { outgoing, answered } = post(line.url)
        const [answer] = await answered
        outgoing.end('123456')
        assert.equal((await textOf(answer)).startsWith('1234') || direction === 'request', true)
        assert.equal(called, 1)
        assert.equal(answer.complete, decision === 'go on')
      }
    })
  }
})

describe('places in a body', () => {
  const body = Buffer.concat([frame(7, 'begin'), frame(1, 'first'), frame(1, 'second'), frame(12, '')])
  const passedBefore = (place: StopPlace, pieceBytes: number) => {
    for (let at = 0; at < body.length; at += pieceBytes) {
      const stop = place.stopAt(body.subarray(at, at + pieceBytes))
      if (stop !== undefined) return at + stop
    }
    return undefined
  }
  for (const pieceBytes of [1, 3, 1_000]) {
    it(`given frames in pieces of ${pieceBytes} bytes, when a frame is looked for, then it is found`, () => {
      assert.equal(passedBefore(atFrame('request', 'after', 1, 1), pieceBytes), 20)
      assert.equal(passedBefore(atFrame('request', 'before', 1, 2), pieceBytes), 25)
      assert.equal(passedBefore(atFrame('request', 'after', 12, 1), pieceBytes), 36)
      assert.equal(passedBefore(atFrame('request', 'after', 8, 1), pieceBytes), undefined)
      assert.equal(passedBefore(afterBytes('request', 17), pieceBytes), 17)
    })
  }
})
