import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import { type Api, connectApi } from '../helpers/api.ts'
import { completeBackup } from '../helpers/backup-calls.ts'
import { seededBytes } from '../helpers/blobs.ts'
import { containerPrograms } from '../helpers/container-programs.ts'
import { makePostgres } from '../helpers/databases.ts'
import { createImageRepository } from '../helpers/image-blobs.ts'
import { writeLayout } from '../helpers/image-files.ts'
import { addressOf, eachDialect, type TestDialect } from '../helpers/local-cluster.ts'
import { needs } from '../helpers/programs.ts'
import {
  createRepository,
  createTask,
  listFiles,
  registerCluster,
  taskOf,
  waitForRun,
} from '../helpers/replication-calls.ts'
import { type ServerProcess, startServer } from '../helpers/server-process.ts'
import { textFile } from '../helpers/tar-files.ts'
import { tempDir } from '../helpers/temp.ts'

const FILES = 5_000
const REPOSITORIES = ['demo/files', 'demo/more', 'team/files'] as const
const UPLOADS_AT_ONCE = 16
const EVERYTHING = { commonData: true, projects: [{ projectRegex: '*' }] }
const LAYOUTS = [
  { name: 'folder', content: EVERYTHING, backupSetting: {} },
  { name: 'zip', content: { ...EVERYTHING, compression: true }, backupSetting: {} },
  { name: 'repository', content: EVERYTHING, backupSetting: { layout: 'REPOSITORY' } },
] as const

describe('case 19: a server that is lost', needs('skopeo'), () => {
  eachDialect('on', (dialect) => {
    it(`given images, ${FILES} files and a replication task, when backed up in each layout, wiped and restored, then clients pull the same digests, all is equal, and the task runs again`, async ({
      signal,
    }) => {
      await using stack = new AsyncDisposableStack()
      const dir = stack.use(await tempDir())
      const target = stack.use(await startServer({ name: 'beta', dataDir: dir.file('beta') }, signal))
      const settings = {
        ENTREPOT_BACKUP_ALLOWED_ROOTS: dir.file('backups'),
        ENTREPOT_BACKUP_PASSPHRASE: 'correct-horse-battery',
        ENTREPOT_BACKUP_USAGE_THRESHOLD: '1',
      }
      const start = async (life: string, port?: number): Promise<Site> => {
        const database = await databaseOf(dialect, stack)
        const options = { name: 'alpha', dataDir: dir.file(life), env: { ...settings, ...database } }
        const server = await startServer({ ...options, ...(port !== undefined && { port }) }, signal)
        stack.defer(async () => void (await server.stop()))
        return { server, api: stack.use(connectApi(server)) }
      }
      const first = await start('first')
      const host = new URL(first.server.url).host
      const programs = await containerPrograms(dir.path, [host])
      const skopeo = (...args: readonly string[]) => programs.run('skopeo', ...args)
      const logIn = () => skopeo('login', '--tls-verify=false', '-u', 'admin', '-p', first.server.password, host)
      await logIn()
      await seed(first.api, signal)
      const digests = await pushImages(skopeo, dir.file('image'), host)
      const cluster = await registerCluster(first.api, target, signal)
      const key = await createTask(first.api, taskOf('nightly', 'demo/files', [cluster]), signal)
      await waitForRun(first.api, key, { runs: 1, pollMs: 50 }, signal)
      const before = await contentsOf(first.api, signal)

      const made: string[] = []
      for (const layout of LAYOUTS) {
        const body = { ...layout, storeLocation: join(dir.file('backups'), layout.name) }
        made.push((await completeBackup(first.api, body, signal)).artifactLocation!)
      }
      await endOf(first)
      await rm(dir.file('first'), { recursive: true })

      for (const [index, location] of made.entries()) {
        const site = await start(`again-${index}`, first.server.port)
        const body = { name: 'back', type: 'DATA_RESTORE', storeLocation: location, content: EVERYTHING }
        await completeBackup(site.api, body, signal)
        assert.deepEqual(await contentsOf(site.api, signal), before, location)
        await logIn()
        for (const [name, digest] of digests) {
          const raw = JSON.parse(await skopeo('inspect', `docker://${host}/${name}`)) as { Digest: string }
          assert.equal(raw.Digest, digest, name)
          const bare = name.slice(0, name.lastIndexOf(':'))
          await skopeo('copy', '--all', `docker://${host}/${bare}@${digest}`, `dir:${dir.file(`pulled-${index}`)}`)
        }
        await runAgain(site.api, signal)
        await endOf(site)
      }
    })
  })
})

interface Site {
  readonly server: ServerProcess
  readonly api: Api
}
async function endOf({ server, api }: Site): Promise<void> {
  api[Symbol.dispose]()
  await server.stop()
}

async function databaseOf(dialect: TestDialect, stack: AsyncDisposableStack): Promise<Record<string, string>> {
  return dialect === 'sqlite' ? {} : { ENTREPOT_DATABASE: addressOf(stack.use(await makePostgres()).config) }
}

async function seed(api: Api, signal: AbortSignal): Promise<void> {
  for (const repository of REPOSITORIES) await createRepository(api, repository, signal)
  await createImageRepository(api, 'demo/images')
  const numbers = Array.from({ length: FILES }, (_, number) => number)
  const upload = async (number: number, stop: AbortSignal) => {
    const repository = REPOSITORIES[number % REPOSITORIES.length]!
    const path = `/d${number % 50}/ünïcode ${number}.bin`
    const headers = { 'x-bkrepo-meta-number': String(number) }
    await api.upload(repository, path, seededBytes(number, 100 + (number % 700)), headers, stop)
  }
  await mapConcurrent(numbers, UPLOADS_AT_ONCE, upload, signal)
}

/** @returns digests by name, `demo/images/app:1`. */
async function pushImages(
  skopeo: (...args: readonly string[]) => Promise<string>,
  folder: string,
  host: string,
): Promise<Map<string, string>> {
  const layers = [{ packing: 'gzip', files: [textFile('etc/motd', 'hello')] }] as const
  const index = await writeLayout(folder, 'made', [
    { architecture: 'amd64', layers },
    { architecture: 'arm64', layers: [...layers, { packing: 'gzip', files: [textFile('bin/arm', 'arm')] }] },
  ])
  const digests = new Map<string, string>()
  for (const tag of ['app:1', 'app:2', 'team/tool:latest']) {
    const name = `demo/images/${tag}`
    await skopeo('copy', '--all', `oci:${folder}:made`, `docker://${host}/${name}`)
    digests.set(name, index.digest)
  }
  return digests
}

/** Everything that a user can see of files, by repository and path. */
async function contentsOf(api: Api, signal: AbortSignal): Promise<Map<string, object>> {
  const contents = new Map<string, object>()
  for (const repository of [...REPOSITORIES, 'demo/images']) {
    for await (const node of listFiles(api, repository, signal)) {
      const { fullPath, sha256, size, metadata, nodeMetadata, createdBy, createdDate } = node as typeof node & Dated
      const { lastModifiedBy, lastModifiedDate } = node as typeof node & Dated
      const about = { sha256, size, metadata, nodeMetadata, createdBy, createdDate, lastModifiedBy, lastModifiedDate }
      contents.set(`${repository}${fullPath}`, about)
    }
  }
  return contents
}
interface Dated {
  readonly createdBy: string
  readonly createdDate: string
  readonly lastModifiedBy: string
  readonly lastModifiedDate: string
}

/** The restored task is off; once it is on, it runs, at once. */
async function runAgain(api: Api, signal: AbortSignal): Promise<void> {
  const tasks = '/replication/api/task'
  const path = `${tasks}/page/demo?pageNumber=1&pageSize=10`
  const { records } = await api.call<{ records: { key: string; enabled: boolean }[] }>('GET', path, undefined, signal)
  assert.deepEqual(
    records.map(({ enabled }) => enabled),
    [false],
  )
  const { key } = records[0]!
  await api.call('POST', `${tasks}/toggle/status/${key}`, undefined, signal)
  const record = await waitForRun(api, key, { runs: 1, pollMs: 50 }, signal)
  assert.equal(record.status, 'SUCCESS', record.errorReason ?? '')
}
