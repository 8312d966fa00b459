import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface HangingTarget extends AsyncDisposable {
  readonly url: string
  /** From here on it takes requests and answers none. */
  hang(): void
  /** Requests that wait for an answer. */
  readonly waiting: number
  /** Most that waited at once. */
  readonly mostWaiting: number
}

/** Passes greetings on, until it hangs. */
export async function hangingTarget(targetUrl: string): Promise<HangingTarget> {
  let hangs = false
  let waiting = 0
  let mostWaiting = 0
  const server = createServer(async (request, response) => {
    if (!hangs) {
      const headers = { authorization: request.headers.authorization ?? '' }
      const answer = await fetch(targetUrl + request.url, { headers })
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
      return
    }
    mostWaiting = Math.max(mostWaiting, ++waiting)
    response.on('close', () => waiting--)
    request.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hang() {
      hangs = true
      server.closeIdleConnections()
    },
    get waiting() {
      return waiting
    },
    get mostWaiting() {
      return mostWaiting
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
