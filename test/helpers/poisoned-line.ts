import { createConnection, createServer, type Socket } from 'node:net'

export interface PoisonedLine extends AsyncDisposable {
  readonly url: string
  /** Connections that broke over it. */
  readonly breaks: number
}

/** Passes bytes on in both directions, and breaks each connection over which the source sends `poison`. */
export async function poisonedLine(targetUrl: string, poison: string): Promise<PoisonedLine> {
  const { hostname, port } = new URL(targetUrl)
  const open = new Set<Socket>()
  let breaks = 0
  const server = createServer((near) => {
    const far = createConnection({ host: hostname, port: Number(port) })
    const close = () => {
      near.destroy()
      far.destroy()
      open.delete(near)
    }
    open.add(near)
    for (const socket of [near, far]) socket.on('error', close).on('close', close)
    near.on('data', (chunk) => {
      if (!chunk.includes(poison)) return void far.write(chunk)
      breaks++
      close()
    })
    far.on('data', (chunk) => void near.write(chunk))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: own } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${own}`,
    get breaks() {
      return breaks
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
