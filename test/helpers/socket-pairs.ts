import { connect, type Server, type Socket } from 'node:net'

/** Clients of a proxy, each joined with a connection of its own to the server behind it: bytes go through as they are. */
export interface SocketPairs {
  /** @returns the connection to the server. */
  join(client: Socket): Socket
  /** Breaks all connections. @returns how many. */
  cut(): number
}

/** @param url of the server behind. */
export function createSocketPairs(url: string): SocketPairs {
  const { hostname, port } = new URL(url)
  const open = new Set<Socket>()
  return {
    join(client) {
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
      return upstream
    },
    cut() {
      const count = open.size / 2
      for (const socket of [...open]) socket.destroy()
      return count
    },
  }
}

/** On a free port of 127.0.0.1. */
export const listening = (server: Server): Promise<void> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
export const closed = (server: Server): Promise<unknown> => new Promise((resolve) => server.close(resolve))
