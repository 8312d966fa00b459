import assert from 'node:assert/strict'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import { type Api, ApiError, connectApi } from './api.ts'
import { seededBytes } from './blobs.ts'
import { assertComplete, contentsOf, endOfRun, wrongContents } from './complete-run.ts'
import { faultyProxy } from './faulty-proxy.ts'
import { createRepository, createTask, registerCluster, taskOf } from './replication-calls.ts'
import { startServer } from './server-process.ts'
import { tempDir } from './temp.ts'
import { type DiskTrouble, troubledDisk } from './troubled-disk.ts'
import { sha256 } from './whole-state.ts'

const REPO = 'proj/files'
const SMALL_FILES = 2_000
const SMALL_BYTES = 6_000
/** Above 64 KiB and above 16 MiB: by a request each, and in parts. */
const LARGER_BYTES = [200_000, 20 * 1024 * 1024]
const UPLOADS_AT_ONCE = 8
/** The trouble begins when so much has come to the target, in the middle of the small files. */
const BEGINS_AT_BYTES = 3_000_000
const HITS = 3
const ENDS_WITHIN_MS = 120_000
/** Of the source: longer than the trouble, or not. */
const PATIENCE = {
  'a while': { ENTREPOT_REPLICATION_LINK_TIMEOUT_MS: '100000' },
  'to the end': { ENTREPOT_REPLICATION_LINK_TIMEOUT_MS: '2000', ENTREPOT_REPLICATION_RETRY_DELAYS_MS: '100,200,400' },
} as const

export interface TroublePlan {
  readonly trouble: DiskTrouble
  readonly lasts: keyof typeof PATIENCE
}

/**
 * A run whose target's disk fails in the middle. When that passes the run must have ended SUCCESS by itself, complete; when it
 * stays, everything that the source counts as delivered must be at the target, byte for byte. Gives the closed record.
 */
export async function diskTroubleDuringRun({ trouble, lasts }: TroublePlan, signal: AbortSignal): Promise<RecordInfo> {
  await using dir = await tempDir()
  const dataDir = dir.file('beta')
  const disk = troubledDisk(dir.file('trouble'), `${dataDir}/blobs`)
  await using stack = new AsyncDisposableStack()
  const servers = {
    a: stack.use(await startServer({ name: 'alpha', dataDir: dir.file('alpha'), env: PATIENCE[lasts] }, signal)),
    b: stack.use(await startServer({ name: 'beta', dataDir, env: disk.env, nodeFlags: disk.nodeFlags }, signal)),
  }
  const line = stack.use(await faultyProxy(servers.b.url))
  const a = stack.use(connectApi(servers.a))
  const b = stack.use(connectApi(servers.b))
  await createRepository(a, REPO, signal)
  const sent = await uploadSome(a, signal)
  const address = { name: 'beta', url: line.url, user: servers.b.user, password: servers.b.password }
  const clusterId = await registerCluster(a, address, signal)

  const reached = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  line.watch(() => {
    if (line.bodyBytes() < BEGINS_AT_BYTES) return undefined
    reached.resolve()
    return begun.promise
  })
  const key = await createTask(a, taskOf('task', REPO, [clusterId]), signal)
  await reached.promise
  await disk.begin(trouble)
  begun.resolve()
  await disk.hit(HITS, signal)
  if (lasts === 'a while') await disk.end()
  const record = await endOfRun(a, key, ENDS_WITHIN_MS, signal)
  if (lasts === 'a while') {
    await assertComplete({ a, b, repository: REPO, sent, downloads: 'all' }, { key, record }, signal)
    return record
  }
  const delivered = record.replicaOverview?.success ?? 0
  const held = await contentsOf(b, REPO, signal)
  assert.ok(held.size >= delivered, `${delivered} were acknowledged, ${held.size} are there`)
  for (const [path, digest] of held) assert.equal(digest, sent.get(path), path)
  assert.deepEqual(await wrongContents(b, REPO, held, signal), [])
  return record
}

async function uploadSome(api: Api, signal: AbortSignal): Promise<Map<string, string>> {
  const sizes = [...Array.from({ length: SMALL_FILES }, () => SMALL_BYTES), ...LARGER_BYTES]
  const sent = new Map<string, string>()
  const uploadOne = async ([n, sizeBytes]: readonly [number, number]) => {
    const bytes = seededBytes(n, sizeBytes)
    const path = `/dir ${n % 7}/${n}.bin`
    await api.upload(REPO, path, bytes, {}, signal)
    sent.set(path, sha256(bytes))
  }
  await mapConcurrent([...sizes.entries()], UPLOADS_AT_ONCE, uploadOne, signal)
  return sent
}

export interface Refusal {
  readonly status: number
  readonly message: string
}

const UPLOADS = 150
const UPLOAD_BYTES = [100, 5_000, 300_000]

/**
 * Uploads before, during and after the trouble; then the server dies by SIGKILL. All that was acknowledged is there, byte for
 * byte; of what was refused nothing is. Gives the refusals.
 */
export async function diskTroubleDuringUploads(trouble: DiskTrouble, signal: AbortSignal): Promise<Refusal[]> {
  await using dir = await tempDir()
  const dataDir = dir.file('alpha')
  const disk = troubledDisk(dir.file('trouble'), `${dataDir}/blobs`)
  const options = { name: 'alpha', dataDir, env: disk.env, nodeFlags: disk.nodeFlags }
  let server = await startServer(options, signal)
  const acknowledged = new Map<string, string>()
  const refusals: Refusal[] = []
  let count = 0
  const uploadOne = async (api: Api) => {
    const n = count++
    const bytes = seededBytes(n, UPLOAD_BYTES[n % UPLOAD_BYTES.length]!)
    const path = `/dir ${n % 5}/${n}.bin`
    try {
      await api.upload(REPO, path, bytes, {}, signal)
      acknowledged.set(path, sha256(bytes))
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      refusals.push({ status: error.status, message: error.message })
    }
  }
  const uploads = (api: Api) =>
    mapConcurrent(Array.from({ length: UPLOADS }), UPLOADS_AT_ONCE, () => uploadOne(api), signal)
  try {
    {
      using api = connectApi(server)
      await createRepository(api, REPO, signal)
      await uploads(api)
      assert.equal(refusals.length, 0)
      await disk.begin(trouble)
      await uploads(api)
      await disk.hit(HITS, signal)
      const refused = refusals.length
      assert.ok(refused > 0, 'nothing was refused')
      await disk.end()
      await uploads(api)
      assert.equal(refusals.length, refused, 'uploads work again')
    }
    await server.kill()
    server = await startServer({ ...options, port: server.port }, signal)
    using api = connectApi(server)
    assert.deepEqual(await contentsOf(api, REPO, signal), acknowledged)
    assert.deepEqual(await wrongContents(api, REPO, acknowledged, signal), [])
    return refusals
  } finally {
    await server.stop()
  }
}
