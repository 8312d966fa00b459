import { passwordPlace } from '../../artifacts/proxies/repository-passwords.ts'
import { lastNumber, markAt, NOTHING, numberBefore, quietSums } from '../../metadata/backup/changes-since.ts'
import type { Since } from '../../metadata/backup/since.ts'
import {
  allProjects,
  allProxySecrets,
  bytesInUse,
  liveRepositories,
  type RepositoryRow,
} from '../../metadata/backup/snapshot-rows.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import { unhurriedSnapshot } from '../../metadata/unhurried.ts'
import type { Progress } from '../activities/activity.ts'
import type { CommonFile, SecretCarrier } from '../common/common-file.ts'
import type { Manifest, RepositoryState } from '../manifest/manifest.ts'
import { projectRecord, repositoryRecord } from '../records/encode-records.ts'
import { repositoryFile, TOMBSTONES } from '../records/record-files.ts'
import type { Selection } from '../records/selection.ts'
import { type BlobList, createBlobList } from './blob-list.ts'
import { chooseSince, type Increment } from './increment.ts'
import { baseOf, findKept, quietText } from './kept-parts.ts'
import { lineOf, type RepositoryReading, readNodes, readPackages, readVersions } from './repository-records.ts'
import type { Spool } from './spool.ts'
import { createFileSpool, type FileSpool, type SpooledFile } from './spooled-file.ts'
import { endedInRepository, endedOfSelection } from './tombstones.ts'

/** What is asked for. */
export interface SnapshotRequest {
  /** Undefined: no repositories at all. */
  readonly selection: Selection | undefined
  readonly common: 'with common data' | 'without'
  /** Undefined: everything. */
  readonly increment: Increment | undefined
  /** Whether a later run may keep parts of this one; then `base` is the run whose parts this one may keep. */
  readonly parts: 'kept' | 'none'
  readonly base: Manifest | undefined
}

/** All metadata of a run, as of one moment. Records are in the spool. */
export interface Snapshot {
  readonly seq: number
  /** Tells the change of that number (`markAt`). */
  readonly mark: string
  readonly fromSeq: number | null
  /** Of an increment: UTC epoch milliseconds. */
  readonly since: number | undefined
  readonly states: readonly RepositoryState[]
  readonly files: readonly SpooledFile[]
  /** Up to `SMALL_BYTES`, and above. */
  readonly small: BlobList
  readonly large: BlobList
  /** What somebody should know. */
  readonly warnings: readonly string[]
}

export interface SnapshotDeps {
  readonly db: MetadataDatabase
  readonly commonFiles: readonly CommonFile[]
  readonly secrets: SecretCarrier
}

/** Contents up to this size are read and written many at a time. */
export const SMALL_BYTES = 64 * 1024

/** The transaction is over when it resolves. */
export async function takeSnapshot(
  { db, commonFiles, secrets }: SnapshotDeps,
  request: SnapshotRequest,
  spool: Spool,
  progress: Progress,
  signal: AbortSignal,
): Promise<Snapshot> {
  // PostgreSQL: what was committed before has its number, so that the next run does not take it for a change.
  await numberChanges(db)
  const { selection, increment } = request
  const small = createBlobList(spool)
  const large = createBlobList(spool)
  const listOf = (sizeBytes: number) => (sizeBytes <= SMALL_BYTES ? small : large)
  const files: SpooledFile[] = []
  const states: RepositoryState[] = []
  const warnings: string[] = []

  async function single(path: string, records: Iterable<object> | AsyncIterable<object>): Promise<void> {
    const file = createFileSpool(spool, path)
    await addAll(file, records)
    files.push(await file.done())
  }

  async function readRepositories(
    reader: Reader,
    chosen: Selection,
    since: Since | undefined,
    repositories: readonly RepositoryRow[],
    seq: number,
  ): Promise<void> {
    const base = await baseOf(reader, request.base)
    const quiet = request.parts === 'kept' ? await quietSums(reader) : undefined
    const projects = new Map((await allProjects(reader)).map((row) => [row.name, row]))
    const ownRecords = await recordsOf(reader, secrets)
    const tombstones = createFileSpool(spool, TOMBSTONES)
    const seen = new Set<string>()
    for (const repository of repositories) {
      const { project, name } = repository
      const projectRow = projects.get(project)
      if (projectRow === undefined || !chosen.selects(project, name)) continue
      signal.throwIfAborted()
      const sums = quiet?.get(repository.id) ?? NOTHING
      const kept = base && (await findKept(reader, base, repository, sums))
      const reading: RepositoryReading = { reader, repository, spool, since, kept, listOf }
      await single(repositoryFile(project, name, 'project'), [projectRecord(projectRow)])
      await single(repositoryFile(project, name, 'repository'), [ownRecords(repository)])
      files.push(await readPackages(reading, signal))
      const versions = await readVersions(reading, signal)
      const nodes = await readNodes(reading, signal)
      files.push(versions, nodes)
      states.push(stateOf(repository, seq, quiet === undefined ? '' : quietText(sums)))
      if (since !== undefined) await addAll(tombstones, endedInRepository(reader, repository, since))
      progress.add({ projects: seen.has(project) ? 0 : 1, repos: 1, nodes: nodes.records, versions: versions.records })
      seen.add(project)
    }
    if (since !== undefined) await addAll(tombstones, endedOfSelection(reader, chosen, since))
    files.push(await tombstones.done())
    if (states.length === 0) warnings.push('No repository was selected: the backup holds none')
  }

  return unhurriedSnapshot(db, async (reader) => {
    const seq = await lastNumber(reader)
    if (request.common === 'with common data') {
      for (const file of commonFiles) await single(file.path, file.read(reader, signal))
    }
    const repositories = await liveRepositories(reader)
    const choice = increment && (await chooseSince(reader, increment, repositories))
    const since = choice?.since
    if (selection !== undefined) {
      await readRepositories(reader, selection, since, repositories, seq)
      warnings.push(...(choice?.warnings ?? []))
    }
    await small.flush()
    await large.flush()
    const fromSeq = since === undefined ? null : await firstNumber(reader, since, seq)
    const mark = await markAt(reader, seq)
    return { seq, mark, fromSeq, since: since?.date, states, files, small, large, warnings }
  })
}

async function firstNumber(reader: Reader, { date, seq: after }: Since, seq: number): Promise<number> {
  const dated = (await numberBefore(reader, date)) ?? seq
  return after === undefined ? dated : Math.min(dated, after)
}

async function addAll(file: FileSpool, records: Iterable<object> | AsyncIterable<object>): Promise<void> {
  for await (const record of records) if (file.add('', lineOf(record))) await file.flush()
}

/** How records of repositories are made. */
async function recordsOf(reader: Reader, carrier: SecretCarrier): Promise<(row: RepositoryRow) => object> {
  const used = await bytesInUse(reader)
  const sealed = new Map<number, Map<string, string>>()
  for (const { repo_id, slot, secret } of await allProxySecrets(reader)) {
    const slots = sealed.get(repo_id) ?? new Map<string, string>()
    sealed.set(repo_id, slots.set(slot, carrier.pack(secret, passwordPlace(repo_id, slot))))
  }
  return (row) => repositoryRecord(row, used.get(row.id) ?? 0, sealed.get(row.id) ?? new Map())
}

const stateOf = ({ id, project, name, epoch }: RepositoryRow, seq: number, quiet: string): RepositoryState => ({
  projectId: project,
  repoName: name,
  repoId: id,
  epoch,
  seq,
  quiet,
})
