import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/ids.ts'
import type { Format } from '../../formats/format.ts'
import { compareFiles } from '../drill/compare-files.ts'
import { createDifferences } from '../drill/differences.ts'
import { runsToDrill } from '../drill/newest-run.ts'
import { sampleVersions } from '../drill/sample-versions.ts'
import { createScratchClient, type ScratchClient } from '../drill/scratch-client.ts'
import type { StartScratchServer } from '../drill/scratch-server.ts'
import type { BackupReader } from '../layouts/layout.ts'
import type { Layouts } from '../layouts/layouts.ts'
import type { NodeDocument, RepositoryDocument, TombstoneDocument } from '../records/documents.ts'
import { repositoryFile, TOMBSTONES } from '../records/record-files.ts'
import type { Activity, ActivityRun } from './activity.ts'

export interface DrillDeps {
  readonly layouts: Layouts
  readonly start: StartScratchServer
  /** Removes what a scratch server has left behind, when there is something. */
  readonly removeFolder: (folder: string) => Promise<void>
  /** Where scratch servers have their data, one folder each. */
  readonly folder: string
  readonly roots: readonly string[]
  readonly formats: readonly Format[]
  readonly clock: Clock
  readonly random: Pick<Random, 'next'>
}

interface RestoreInfo {
  readonly state: string
  readonly result: string | null
  readonly errorReason: string | null
  readonly report: Readonly<Record<string, unknown>> | null
}

const BACKUPS = '/api/job/backup'
const POLL_MS = 200

/** Restores the newest backup of a place into a scratch server, compares every digest, and reads samples as clients do. */
export function createDrillActivity(deps: DrillDeps): Activity {
  const { layouts, start, removeFolder, folder, roots, formats, clock, random } = deps
  const folderOf = ({ id }: Pick<ActivityRun, 'id'>) => join(folder, id)

  async function restore(client: ScratchClient, path: string, signal: AbortSignal): Promise<RestoreInfo> {
    const content = { commonData: true, compression: path.endsWith('.zip'), projects: [{ projectRegex: '*' }] }
    const body = { name: 'drill', type: 'DATA_RESTORE', storeLocation: path, content }
    const id = await client.call<string>('POST', BACKUPS, body, signal)
    await client.call('POST', `${BACKUPS}/execute/${id}`, undefined, signal)
    for (;;) {
      const task = await client.call<RestoreInfo>('GET', `${BACKUPS}/task/${id}`, undefined, signal)
      if (task.state === 'FINISHED') return task
      await clock.sleep(POLL_MS, signal)
    }
  }

  /** @param later paths that later runs of the chain have, or deleted; those of this one are added. */
  async function compare(
    reader: BackupReader,
    client: ScratchClient,
    run: ActivityRun,
    later: Set<string>,
    signal: AbortSignal,
  ) {
    const { progress, task } = run
    const percent = task.setting.readDataPercent
    const differences = createDifferences()
    let [files, contentsRead, samples] = [0, 0, 0]
    const isLater = (path: string) => later.has(path) || later.has(path.split('/', 2).join('/'))
    for (const { projectId, repoName } of reader.manifest!.repositories) {
      const repository = await repositoryIn(reader, projectId, repoName, signal)
      if (repository === undefined) differences.note(`${projectId}/${repoName}`, 'its record is not in the backup')
      // A proxy may ask its upstream, which has no place in a drill.
      else if (repository.category !== 'REMOTE' && repository.category !== 'VIRTUAL') {
        const nodes = repositoryFile(projectId, repoName, 'node')
        const how = { percent, random, progress, now: clock.now, isLater }
        const done = await compareFiles(reader, nodes, client, how, differences, signal)
        files += done.files
        contentsRead += done.read
        if (later.size === 0) {
          const format = formats.find(({ type }) => type === repository.type)
          const versions = repositoryFile(projectId, repoName, 'version')
          samples += await sampleVersions(reader, { versions, nodes }, format, client, clock.now, differences, signal)
        }
      }
      progress.add({ repos: 1 })
    }
    return { differences, files, contentsRead, samples }
  }

  return {
    async run(run, signal) {
      const chain = await runsToDrill(layouts, run.place, roots, signal)
      const place = folderOf(run)
      await using _left = { [Symbol.asyncDispose]: () => removeFolder(place) }
      run.progress.set({ phase: 'scratch server' })
      await using server = await start(place, roots, signal)
      const client = createScratchClient(server)
      run.progress.set({ phase: 'restore' })
      let about: Record<string, unknown> = {}
      for (const path of chain) {
        const restored = await restore(client, path, signal)
        about = { backup: path, runs: chain.length, restored: restored.result, ...restored.report }
        if (restored.result === 'SUCCESS') continue
        const errorReason = `${path} could not be restored as a whole (${restored.result}): ${restored.errorReason}`
        return { result: 'FAILED', errorReason, artifactLocation: null, report: about }
      }
      run.progress.set({ phase: 'comparison' })
      const found = { files: 0, contentsRead: 0, samples: 0, wrong: 0, differences: [] as object[] }
      const later = new Set<string>()
      for (const path of chain.toReversed()) {
        await using reader = await layouts.openReader(path, 'whole', signal)
        const { differences, ...counts } = await compare(reader, client, run, later, signal)
        found.files += counts.files
        found.contentsRead += counts.contentsRead
        found.samples += counts.samples
        found.wrong += differences.count
        found.differences.push(...differences.shown)
        if (reader.manifest?.since != null) for await (const path of touchedBy(reader, signal)) later.add(path)
      }
      const isProven = found.wrong === 0
      const errorReason = isProven ? null : `${found.wrong} files or versions are not what the backup says`
      return {
        result: isProven ? 'SUCCESS' : 'FAILED',
        errorReason,
        artifactLocation: null,
        report: { ...about, ...found },
      }
    },
    sweep: (run) => removeFolder(folderOf(run)),
  }
}

async function repositoryIn(
  reader: BackupReader,
  project: string,
  repo: string,
  signal: AbortSignal,
): Promise<RepositoryDocument | undefined> {
  for await (const line of reader.records(repositoryFile(project, repo, 'repository'), signal)) {
    return JSON.parse(line) as RepositoryDocument
  }
  return undefined
}

/** Paths that an increment has files at, or deleted, as people know them; `project/repository` where all of it was. */
async function* touchedBy(reader: BackupReader, signal: AbortSignal): AsyncGenerator<string> {
  for (const { projectId, repoName } of reader.manifest!.repositories) {
    for await (const line of reader.records(repositoryFile(projectId, repoName, 'node'), signal)) {
      yield `${projectId}/${repoName}${(JSON.parse(line) as NodeDocument).fullPath}`
    }
  }
  for await (const line of reader.records(TOMBSTONES, signal)) {
    const { kind, projectId, repoName, fullPath } = JSON.parse(line) as TombstoneDocument
    if (kind === 'REPOSITORY') yield `${projectId}/${repoName}`
    else if (fullPath !== undefined) yield `${projectId}/${repoName}${fullPath}`
  }
}
