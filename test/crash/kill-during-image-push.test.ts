import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectApi } from '../helpers/api.ts'
import { seededBytes } from '../helpers/blobs.ts'
import { makePostgres } from '../helpers/databases.ts'
import { type Answer, blobCalls, createImageRepository, nameOf } from '../helpers/image-blobs.ts'
import { addressOf, eachDialect } from '../helpers/local-cluster.ts'
import { startServer } from '../helpers/server-process.ts'
import { tempDir } from '../helpers/temp.ts'

const MIB = 1024 * 1024
const BYTES = seededBytes(21, 24 * MIB)
const NAME = nameOf(BYTES)
const ACKNOWLEDGED = 5 * MIB
/** After a chunk's bytes were sent, and after the last request was, in ms. */
const KILLED_AFTER_MS = [0, 15, 60]

eachDialect('kill -9 during a push of an image', (dialect) => {
  it('given it dies in a PATCH, and in the last PUT, when started again, then what was acknowledged stands and the push goes on to the right digest', async (t) => {
    await using stack = new AsyncDisposableStack()
    const dir = stack.use(await tempDir())
    const postgres = dialect === 'postgres' ? stack.use(await makePostgres()) : undefined
    const env: Record<string, string> = postgres === undefined ? {} : { ENTREPOT_DATABASE: addressOf(postgres.config) }
    const options = { name: 'alpha', dataDir: dir.file('alpha'), env }
    let server = await startServer(options, t.signal)
    stack.defer(async () => void (await server.stop()))
    using api = connectApi(server)
    await createImageRepository(api, 'demo/images')
    const killAndStart = async () => {
      await server.kill()
      server = await startServer({ ...options, port: server.port }, t.signal)
    }

    for (const [round, delayMs] of KILLED_AFTER_MS.entries()) {
      const image = blobCalls(api, `demo/images/team/app${round}`)
      const first = await image.send('PATCH', await image.begin(), BYTES.subarray(0, ACKNOWLEDGED))
      assert.equal(first.range, `0-${ACKNOWLEDGED - 1}`)
      image.begun('PATCH', first.location).write(BYTES.subarray(ACKNOWLEDGED, 20 * MIB))
      await sleep(delayMs)
      await killAndStart()

      const state = await image.send('GET', first.location)
      const length = Number(state.range!.slice(2)) + 1
      assert.ok(length >= ACKNOWLEDGED && length <= 20 * MIB, `${delayMs} ms: ${state.range}`)
      const range = { 'content-range': `${length}-${22 * MIB - 1}` }
      const second = await image.send('PATCH', first.location, BYTES.subarray(length, 22 * MIB), range)
      assert.deepEqual([second.status, second.range], [202, `0-${22 * MIB - 1}`])

      const put: Promise<Answer | undefined> = image
        .send('PUT', `${second.location}?digest=${NAME}`, BYTES.subarray(22 * MIB))
        .catch(() => undefined)
      await sleep(delayMs)
      await killAndStart()
      const isStored = async () => (await image.send('HEAD', NAME)).status === 200
      if ((await put)?.status === 201) assert.ok(await isStored(), `${delayMs} ms: acknowledged`)
      if (!(await isStored())) {
        // A client that heard nothing asks where it stands, and sends the rest.
        const { range: reached } = await image.send('GET', second.location)
        const from = Number(reached!.slice(2)) + 1
        const last = await image.send('PUT', `${second.location}?digest=${NAME}`, BYTES.subarray(from))
        assert.equal(last.status, 201)
      }
      assert.ok((await image.send('GET', NAME)).body.equals(BYTES), `${delayMs} ms`)
      await image.send('DELETE', second.location)
      assert.deepEqual(await readdir(join(server.dataDir, 'blobs', '.pushes')), [])
    }
  })
})
