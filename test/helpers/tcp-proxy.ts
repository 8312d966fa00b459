import { type AddressInfo, createServer } from 'node:net'
import { closed, createSocketPairs, listening } from './socket-pairs.ts'

/** Passes bytes on to a server, whatever they mean, and cuts its connections when asked to. */
export interface TcpProxy extends AsyncDisposable {
  readonly url: string
  /** Bytes that came from the server so far. */
  fromServer(): number
  /** Breaks all connections. @returns how many. */
  cut(): number
}

/** @param url of the server. */
export async function tcpProxy(url: string): Promise<TcpProxy> {
  const pairs = createSocketPairs(url)
  let bytes = 0
  const server = createServer((client) => {
    pairs.join(client).on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
  })
  await listening(server)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fromServer: () => bytes,
    cut: pairs.cut,
    async [Symbol.asyncDispose]() {
      pairs.cut()
      await closed(server)
    },
  }
}
