import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

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
  const { hostname, port } = new URL(url)
  const open = new Set<Socket>()
  let bytes = 0
  const server = createServer((client) => {
    const upstream = connect({ host: hostname, port: Number(port) })
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.once('close', () => {
        open.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
    upstream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    const count = open.size / 2
    for (const socket of [...open]) socket.destroy()
    return count
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fromServer: () => bytes,
    cut,
    async [Symbol.asyncDispose]() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
