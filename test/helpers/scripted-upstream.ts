import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Script = (request: IncomingMessage, response: ServerResponse) => void

/** An upstream that does what a test says. */
export interface ScriptedUpstream extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** What came, in order: `GET /a.txt`. */
  readonly asked: string[]
  readonly requests: IncomingMessage[]
  /** Answers of a path from now on; others are 404. */
  script(path: string, script: Script): void
  /** 200 with these bytes and headers. */
  serve(path: string, body: Buffer | string, headers?: Readonly<Record<string, string>>): void
}

export async function scriptedUpstream(port = 0): Promise<ScriptedUpstream> {
  const scripts = new Map<string, Script>()
  const asked: string[] = []
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    requests.push(request)
    const script = scripts.get(request.url ?? '')
    if (script === undefined) response.writeHead(404).end('nothing here')
    else script(request, response)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const bound = (server.address() as AddressInfo).port
  const upstream: ScriptedUpstream = {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    asked,
    requests,
    script: (path, script) => void scripts.set(path, script),
    serve: (path, body, headers = {}) =>
      upstream.script(path, (_request, response) => {
        response.writeHead(200, { 'content-length': String(Buffer.byteLength(body)), ...headers }).end(body)
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return upstream
}
