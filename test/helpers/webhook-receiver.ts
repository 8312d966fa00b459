import { createServer, type IncomingHttpHeaders } from 'node:http'
import { listen } from './faulty-proxy.ts'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}
/** What a test's receiver of webhooks answers. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}
export interface WebhookReceiver extends AsyncDisposable {
  readonly url: string
  readonly received: readonly Received[]
  /** Decides each answer from now on. By default 200. */
  answer(reply: (nth: number) => Reply): void
}

export async function webhookReceiver(): Promise<WebhookReceiver> {
  const received: Received[] = []
  let reply: (nth: number) => Reply = () => ({ status: 200 })
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    received.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) })
    const { status, headers = {}, body = '' } = reply(received.length)
    response.writeHead(status, headers).end(body)
  })
  const url = await listen(server)
  return {
    url,
    received,
    answer(next) {
      reply = next
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
