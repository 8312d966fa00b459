import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import type { Random } from '../../src/core/ids.ts'
import { type Api, connectApi } from './api.ts'
import { ALL_FILES, completeBackup, endOfBackup, noneRunning, startBackup } from './backup-calls.ts'
import { createRepository, listFiles } from './replication-calls.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { tempDir } from './temp.ts'

export interface KillBackups {
  readonly smallFiles: number
  readonly largeFiles: number
  readonly largeBytes: number
  /** Of each layout in turn, half of them in backups and half in restores. */
  readonly kills: number
  readonly random: Pick<Random, 'next'>
  readonly env: Readonly<Record<string, string>>
  log(line: string): void
}

const REPOSITORY = 'demo/files'
const UPLOADS_AT_ONCE = 16
const LAYOUTS = [
  { name: 'folder', content: ALL_FILES, backupSetting: {} },
  { name: 'zip', content: { ...ALL_FILES, compression: true }, backupSetting: {} },
  { name: 'repository', content: ALL_FILES, backupSetting: { layout: 'REPOSITORY' } },
] as const

/** A server that is killed in the middle of its backups and restores. @throws AssertionError at the first thing that is not as it should be. */
export async function killBackups(plan: KillBackups, signal: AbortSignal): Promise<void> {
  await using dir = await tempDir()
  await using victim = await startKilled(dir.file('alpha'), dir.file('backups'), plan.env, signal)
  const files = await seed(victim.api(), plan, signal)
  /** Of whole runs, so that moments lie all over them. */
  const lasts = new Map<string, number>()
  for (const layout of LAYOUTS) {
    const place = join(dir.file('backups'), layout.name)
    const body = { ...layout, storeLocation: place }
    const made = await timed(lasts, `backup ${layout.name}`, () => completeBackup(victim.api(), body, signal))
    const back = restoreBody(made.artifactLocation!, `warm-${layout.name}`)
    await timed(lasts, `restore ${layout.name}`, () => completeBackup(victim.api(), back, signal))
  }
  for (let kill = 0; kill < plan.kills; kill++) {
    const layout = LAYOUTS[kill % LAYOUTS.length]!
    const place = join(dir.file('backups'), layout.name)
    const body = { ...layout, storeLocation: place }
    const kind = Math.floor(kill / LAYOUTS.length) % 2 === 0 ? 'backup' : 'restore'
    const afterMs = plan.random.next() * lasts.get(`${kind} ${layout.name}`)!
    if (kind === 'backup') {
      const id = await startBackup(victim.api(), body, signal)
      await killAfter(victim, afterMs, signal)
      const ended = await endOfBackup(victim.api(), id, signal)
      plan.log(`backup ${layout.name} killed after ${afterMs.toFixed(0)} ms: ${ended.result} ${ended.errorReason}`)
      if (ended.result === 'SUCCESS') await verify(victim.api(), ended.artifactLocation!, signal)
    } else {
      const from = await completeBackup(victim.api(), body, signal)
      const back = restoreBody(from.artifactLocation!, `back-${kill}`)
      const id = await startBackup(victim.api(), back, signal)
      await killAfter(victim, afterMs, signal)
      const ended = await endOfBackup(victim.api(), id, signal)
      plan.log(`restore ${layout.name} killed after ${afterMs.toFixed(0)} ms: ${ended.result} ${ended.errorReason}`)
      await completeBackup(victim.api(), back, signal)
      await mustHold(victim.api(), `back-${kill}/files`, files, signal)
    }
    await noneRunning(victim.api(), signal)
    assert.deepEqual(await draftsIn(place), [], 'half of something is left')
    const next = await completeBackup(victim.api(), body, signal)
    await verify(victim.api(), next.artifactLocation!, signal)
  }
}

const restoreBody = (location: string, targetProjectId: string) => ({
  name: 'back',
  type: 'DATA_RESTORE',
  storeLocation: location,
  content: { commonData: false, projects: [{ projectId: 'demo' }] },
  backupSetting: { targetProjectId },
})

async function verify(api: Api, location: string, signal: AbortSignal): Promise<void> {
  const body = { name: 'verify', type: 'DATA_VERIFY', storeLocation: location, content: ALL_FILES }
  await completeBackup(api, { ...body, backupSetting: { readDataPercent: 100 } }, signal)
}

interface Killed extends AsyncDisposable {
  api(): Api
  kill(): Promise<void>
  start(): Promise<void>
}

async function startKilled(
  dataDir: string,
  root: string,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Killed> {
  const settings = { ENTREPOT_BACKUP_ALLOWED_ROOTS: root, ENTREPOT_BACKUP_USAGE_THRESHOLD: '1' }
  const passphrase = { ENTREPOT_BACKUP_PASSPHRASE: 'correct-horse-battery' }
  const options = { name: 'alpha', dataDir, env: { ...env, ...settings, ...passphrase } }
  let server: ServerProcess = await startServer(options, signal)
  let api = connectApi(server)
  return {
    api: () => api,
    async kill() {
      api[Symbol.dispose]()
      await server.kill()
    },
    async start() {
      server = await startServer({ ...options, port: server.port }, signal)
      api = connectApi(server)
    },
    async [Symbol.asyncDispose]() {
      api[Symbol.dispose]()
      await server.stop()
    },
  }
}

async function killAfter(victim: Killed, ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal })
  await victim.kill()
  await victim.start()
}

async function timed<T>(lasts: Map<string, number>, what: string, work: () => Promise<T>): Promise<T> {
  const from = performance.now()
  const done = await work()
  lasts.set(what, performance.now() - from)
  return done
}

/** Digests by path. */
async function seed(api: Api, plan: KillBackups, signal: AbortSignal): Promise<Map<string, string>> {
  await createRepository(api, REPOSITORY, signal)
  const files = new Map<string, string>()
  const sizes = [
    ...Array.from({ length: plan.smallFiles }, (_, index) => 200 + (index % 2_000)),
    ...Array.from({ length: plan.largeFiles }, () => plan.largeBytes),
  ]
  const upload = async (sizeBytes: number, index: number, stop: AbortSignal) => {
    const path = `/d${index % 100}/f${index}.bin`
    const node = await api.upload(REPOSITORY, path, randomBytes(sizeBytes), {}, stop)
    files.set(path, node.sha256!)
  }
  const numbered = sizes.map((size, index) => ({ size, index }))
  await mapConcurrent(numbered, UPLOADS_AT_ONCE, ({ size, index }, stop) => upload(size, index, stop), signal)
  return files
}

async function mustHold(
  api: Api,
  repository: string,
  files: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Map<string, string>()
  for await (const { fullPath, sha256 } of listFiles(api, repository, signal)) seen.set(fullPath, sha256!)
  assert.deepEqual(new Map([...seen].sort()), new Map([...files].sort()))
}

async function draftsIn(place: string): Promise<string[]> {
  const entries = await readdir(place, { recursive: true })
  return entries.filter((name) => name.includes('.partial'))
}
