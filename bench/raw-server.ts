// The limit that our servers are measured against: node:http, sha256, fsync, rename and nothing else. No names, no rights, no database.
// Run as `node bench/raw-server.ts DIR`; prints its port.
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const dir = process.argv[2] ?? '.'
await mkdir(dir, { recursive: true })

/** Where the last bytes of a path are. */
const stored = new Map<string, string>()

async function put(request: IncomingMessage): Promise<string> {
  const hash = createHash('sha256')
  const spool = join(dir, `${randomBytes(8).toString('hex')}.part`)
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done(undefined, chunk)
    },
  })
  await pipeline(request, hashing, createWriteStream(spool, { flush: true }))
  const sha256 = hash.digest('hex')
  await rename(spool, join(dir, sha256))
  stored.set(request.url ?? '', sha256)
  return sha256
}

async function get(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const sha256 = stored.get(request.url ?? '')
  if (sha256 === undefined) return void response.writeHead(404).end()
  const file = join(dir, sha256)
  response.writeHead(200, { 'content-length': (await stat(file)).size, 'content-type': 'application/octet-stream' })
  await pipeline(createReadStream(file), response)
}

const server = createServer(async (request, response) => {
  try {
    if (request.method === 'GET') return await get(request, response)
    const data = { sha256: await put(request) }
    response
      .setHeader('content-type', 'application/json')
      .end(JSON.stringify({ code: 0, message: null, data, traceId: null }))
  } catch (error) {
    response.destroy(error as Error)
  }
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.on('SIGTERM', () => process.exit(0))
