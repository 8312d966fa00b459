import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { listening } from './socket-pairs.ts'

const run = promisify(execFile)

export interface OwnAuthority {
  /** PEM of the authority's certificate. */
  readonly caFile: string
  readonly key: string
  /** Of 127.0.0.1 and `localhost`, signed by the authority. */
  readonly certificate: string
}

/** An authority, and a server that it vouches for, made on the spot. @param folder where its files lie. */
export async function ownAuthority(folder: string): Promise<OwnAuthority> {
  const file = (name: string) => join(folder, name)
  const openssl = (...args: readonly string[]) => run('openssl', [...args])
  const key = (name: string) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', file(name)]
  await openssl('req', '-x509', ...key('ca.key'), '-out', file('ca.crt'), '-days', '2', '-subj', '/CN=own authority')
  await openssl('req', ...key('server.key'), '-out', file('server.csr'), '-subj', '/CN=registry')
  await writeFile(file('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  const signer = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-extfile', file('names')]
  await openssl('x509', '-req', '-in', file('server.csr'), ...signer, '-out', file('server.crt'), '-days', '2')
  const text = (name: string) => readFile(file(name), 'utf8')
  return { caFile: file('ca.crt'), key: await text('server.key'), certificate: await text('server.crt') }
}

/** A reverse proxy that speaks TLS and says where requests came to, as those in front of real servers do. */
export async function httpsProxy(
  url: string,
  { key, certificate }: OwnAuthority,
): Promise<AsyncDisposable & { readonly host: string }> {
  const server = createServer({ key, cert: certificate }, (incoming, answer) => {
    const { method, url: path, headers } = incoming
    const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': headers.host, 'x-forwarded-for': '127.0.0.1' }
    const outgoing = request(new URL(path ?? '/', url), { method, headers: { ...headers, ...forwarded } })
    outgoing.on('response', (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
    })
    outgoing.on('error', () => answer.destroy())
    answer.on('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  })
  await listening(server)
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
