import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, ApiError, connectApi } from '../helpers/api.ts'
import { seededBytes } from '../helpers/blobs.ts'
import { makePostgres } from '../helpers/databases.ts'
import { addressOf, eachDialect, type TestDialect } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { type ServerProcess, startServer } from '../helpers/server-process.ts'
import { tempDir } from '../helpers/temp.ts'

const MIB = 1024 * 1024
const PART_BYTES = 8 * MIB
const PARTS = 8
const FILE = 'demo/files/big.bin'
/** After the completion was sent, in ms: while blocks are read, joined, made durable, committed, removed. */
const KILLED_AFTER_MS = [0, 10, 25, 50, 100, 200, 400]
const NODE_NOT_FOUND = 251010

const BYTES = seededBytes(11, PARTS * PART_BYTES)
const SHA256 = createHash('sha256').update(BYTES).digest('hex')

interface Upload {
  start(): Promise<string>
  part(uploadId: string, sequence: number): Promise<void>
  sequences(uploadId: string): Promise<number[]>
  complete(uploadId: string): Promise<{ readonly sha256: string }>
  /** Digest of the node that is visible; undefined: none is. */
  visible(): Promise<string | undefined>
}

function uploadBy(api: Api, signal: AbortSignal): Upload {
  const send = async <T>(method: string, path: string, headers: Record<string, string>, body?: Buffer): Promise<T> => {
    const login = { authorization: api.authorization }
    const init = { method, headers: { ...login, ...headers }, signal }
    const answer = await fetch(`${api.url}${path}`, body === undefined ? init : { ...init, body: new Uint8Array(body) })
    const { code, message, data } = (await answer.json()) as { code: number; message: string; data: T }
    if (code !== 0) throw new ApiError(`${method} ${path}`, answer.status, code, message)
    return data
  }
  const id = (uploadId: string) => ({ 'x-bkrepo-upload-id': uploadId })
  return {
    start: async () => (await send<{ uploadId: string }>('POST', `/generic/block/${FILE}`, {})).uploadId,
    async part(uploadId, sequence) {
      const body = BYTES.subarray((sequence - 1) * PART_BYTES, sequence * PART_BYTES)
      await send('PUT', `/generic/${FILE}`, { ...id(uploadId), 'x-bkrepo-sequence': String(sequence) }, body)
    },
    async sequences(uploadId) {
      const parts = await send<{ sequence: number }[]>('GET', `/generic/block/${FILE}`, id(uploadId))
      return parts.map(({ sequence }) => sequence)
    },
    complete: (uploadId) => send('PUT', `/generic/block/${FILE}`, { ...id(uploadId), 'x-bkrepo-sha256': SHA256 }),
    async visible() {
      try {
        return (await send<{ sha256: string }>('GET', `/repository/api/node/detail/${FILE}`, {})).sha256
      } catch (error) {
        if (error instanceof ApiError && error.code === NODE_NOT_FOUND) return undefined
        throw error
      }
    },
  }
}

async function database(dialect: TestDialect): Promise<AsyncDisposable & { readonly env: Record<string, string> }> {
  if (dialect === 'sqlite') return { env: {}, [Symbol.asyncDispose]: async () => {} }
  const made = await makePostgres()
  return {
    env: { ENTREPOT_DATABASE: addressOf(made.config) },
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  }
}

/** What the dead process had staged and not published. */
async function staged({ dataDir }: ServerProcess): Promise<string[]> {
  const top = join(dataDir, 'blobs', '.staging')
  const files = await Promise.all((await readdir(top)).map((owner) => readdir(join(top, owner))))
  return files.flat()
}

eachDialect('kill -9 during a block upload', (dialect) => {
  it('acceptance 3: given it dies between and in the middle of blocks, when started again, then every acknowledged block is there and the upload goes on', async (t) => {
    await using db = await database(dialect)
    await using dir = await tempDir()
    const options = { name: 'alpha', dataDir: dir.file('alpha'), env: db.env }
    let server = await startServer(options, t.signal)
    try {
      const connect = () => connectApi({ url: server.url, user: server.user, password: server.password })
      using first = connect()
      await createRepository(first, 'demo/files', t.signal)
      const uploadId = await uploadBy(first, t.signal).start()
      const acknowledged = new Set<number>()
      for (let round = 0; acknowledged.size < PARTS; round++) {
        using api = connect()
        const upload = uploadBy(api, t.signal)
        assert.deepEqual(await upload.sequences(uploadId), [...acknowledged].sort(), `round ${round}`)
        const next = Array.from({ length: PARTS }, (_, at) => at + 1).filter((one) => !acknowledged.has(one))
        for (const sequence of next.slice(0, 2)) {
          await upload.part(uploadId, sequence)
          acknowledged.add(sequence)
        }
        const cut = next[2] === undefined ? Promise.resolve() : upload.part(uploadId, next[2]).catch(() => {})
        await sleep(round * 10)
        await server.kill()
        await cut
        server = await startServer({ ...options, port: server.port }, t.signal)
        using again = connect()
        // The one that was cut may have made it.
        for (const sequence of await uploadBy(again, t.signal).sequences(uploadId)) acknowledged.add(sequence)
      }
      using last = connect()
      const upload = uploadBy(last, t.signal)
      assert.equal(await upload.visible(), undefined)
      assert.equal((await upload.complete(uploadId)).sha256, SHA256)
      assert.equal(await upload.visible(), SHA256)
    } finally {
      await server.stop()
    }
  })

  it('acceptance 3: given it dies while the upload is completed, when started again, then the file is whole or not there, and asking again completes it', async (t) => {
    await using db = await database(dialect)
    await using dir = await tempDir()
    const options = { name: 'alpha', dataDir: dir.file('alpha'), env: db.env }
    let server = await startServer(options, t.signal)
    try {
      const connect = () => connectApi({ url: server.url, user: server.user, password: server.password })
      using first = connect()
      await createRepository(first, 'demo/files', t.signal)
      for (const delayMs of KILLED_AFTER_MS) {
        using api = connect()
        const upload = uploadBy(api, t.signal)
        const uploadId = await upload.start()
        for (let sequence = 1; sequence <= PARTS; sequence++) await upload.part(uploadId, sequence)
        const completed = upload.complete(uploadId).catch(() => undefined)
        await sleep(delayMs)
        await server.kill()
        await completed
        server = await startServer({ ...options, port: server.port }, t.signal)
        using again = connect()
        const after = uploadBy(again, t.signal)
        const seen = await after.visible()
        assert.ok(seen === undefined || seen === SHA256, `after ${delayMs} ms: ${seen}`)
        assert.deepEqual(await staged(server), [])
        assert.equal((await after.complete(uploadId)).sha256, SHA256)
        assert.equal(await after.visible(), SHA256)
        await again.call('DELETE', `/generic/${FILE}`, undefined, t.signal)
      }
    } finally {
      await server.stop()
    }
  })
})
