import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/ids.ts'
import type { Format } from '../../formats/format.ts'
import { compareFiles } from '../drill/compare-files.ts'
import { createDifferences } from '../drill/differences.ts'
import { newestRun } from '../drill/newest-run.ts'
import { sampleVersions } from '../drill/sample-versions.ts'
import { createScratchClient, type ScratchClient } from '../drill/scratch-client.ts'
import type { StartScratchServer } from '../drill/scratch-server.ts'
import type { BackupReader } from '../layouts/layout.ts'
import type { Layouts } from '../layouts/layouts.ts'
import type { RepositoryDocument } from '../records/documents.ts'
import { repositoryFile } from '../records/record-files.ts'
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

  async function compare(reader: BackupReader, client: ScratchClient, run: ActivityRun, signal: AbortSignal) {
    const { progress, task } = run
    const percent = task.setting.readDataPercent
    const differences = createDifferences()
    let [files, contentsRead, samples] = [0, 0, 0]
    for (const { projectId, repoName } of reader.manifest!.repositories) {
      const repository = await repositoryIn(reader, projectId, repoName, signal)
      if (repository === undefined) differences.note(`${projectId}/${repoName}`, 'its record is not in the backup')
      // A proxy may ask its upstream, which has no place in a drill.
      else if (repository.category !== 'REMOTE' && repository.category !== 'VIRTUAL') {
        const nodes = repositoryFile(projectId, repoName, 'node')
        const done = await compareFiles(reader, nodes, client, { percent, random, progress }, differences, signal)
        files += done.files
        contentsRead += done.read
        const format = formats.find(({ type }) => type === repository.type)
        const versions = repositoryFile(projectId, repoName, 'version')
        samples += await sampleVersions(reader, versions, format, client, differences, signal)
      }
      progress.add({ repos: 1 })
    }
    return { differences, files, contentsRead, samples }
  }

  return {
    async run(run, signal) {
      const path = await newestRun(layouts, run.place, signal)
      const place = folderOf(run)
      await using _left = { [Symbol.asyncDispose]: () => removeFolder(place) }
      await using reader = await layouts.openReader(path, 'whole', signal)
      run.progress.set({ phase: 'scratch server' })
      await using server = await start(place, roots, signal)
      const client = createScratchClient(server)
      run.progress.set({ phase: 'restore' })
      const restored = await restore(client, path, signal)
      const about = { backup: path, restored: restored.result, ...restored.report }
      if (restored.result !== 'SUCCESS') {
        const errorReason = `The backup could not be restored as a whole (${restored.result}): ${restored.errorReason}`
        return { result: 'FAILED', errorReason, artifactLocation: null, report: about }
      }
      run.progress.set({ phase: 'comparison' })
      const { differences, ...counts } = await compare(reader, client, run, signal)
      const report = { ...about, ...counts, wrong: differences.count, differences: differences.shown }
      const isProven = differences.count === 0
      const errorReason = isProven ? null : `${differences.count} files or versions are not what the backup says`
      return { result: isProven ? 'SUCCESS' : 'FAILED', errorReason, artifactLocation: null, report }
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
