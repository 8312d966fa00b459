import { connect, type Socket } from 'node:net'

/** One request as it goes out, and what its answer must hold. */
export interface Ask {
  readonly bytes: Buffer
  /** @returns why the body is wrong; undefined when it is right. */
  check(body: Buffer): string | undefined
}

/** `GET` with keep-alive, made once: building requests must cost the sender nothing while we measure. */
export function getRequest(path: string, headers: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}`)
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
}

const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * Sends requests over `connections` sockets, the next one of a socket when its answer has arrived, and checks every answer; `onTime`
 * hears how long each took. Speaks
 * just enough HTTP for that: node:http as the client takes as much processor time as the server that is measured.
 */
export async function readAll(
  port: number,
  asks: readonly Ask[],
  connections: number,
  onTime: (ms: number) => void = () => {},
): Promise<void> {
  let next = 0
  const take = () => asks[next++]
  await Promise.all(Array.from({ length: connections }, () => readSome(connect(port, '127.0.0.1'), take, onTime)))
}

function readSome(socket: Socket, take: () => Ask | undefined, onTime: (ms: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let ask = take()
    let buffered = Buffer.alloc(0)
    let sentAt = 0
    const fail = (why: string) => socket.destroy(new Error(why))
    const advance = () => {
      ask = take()
      send()
    }
    const send = () => {
      sentAt = performance.now()
      if (ask === undefined) socket.end()
      else socket.write(ask.bytes)
    }
    socket.setNoDelay(true)
    socket.on('connect', send)
    socket.on('data', (chunk: Buffer<ArrayBuffer>) => {
      buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk])
      const headEnd = buffered.indexOf(HEAD_END)
      if (headEnd < 0) return
      const head = buffered.toString('latin1', 0, headEnd)
      if (!head.startsWith('HTTP/1.1 200')) return fail(`answered ${head.slice(0, 100)}`)
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
      if (Number.isNaN(length)) return fail('an answer without its length')
      const bodyEnd = headEnd + HEAD_END.length + length
      if (buffered.length < bodyEnd) return
      const wrong = ask?.check(buffered.subarray(headEnd + HEAD_END.length, bodyEnd))
      if (wrong !== undefined) return fail(wrong)
      onTime(performance.now() - sentAt)
      buffered = buffered.subarray(bodyEnd)
      advance()
    })
    socket.on('error', reject)
    socket.on('close', () => (ask === undefined ? resolve() : reject(new Error('the server closed the connection'))))
  })
}
