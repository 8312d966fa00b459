import type { Since } from '../../metadata/backup/since.ts'
import {
  type NodeRow,
  pageNodes,
  pagePackages,
  pageVersions,
  type RepositoryRow,
} from '../../metadata/backup/snapshot-rows.ts'
import type { Reader } from '../../metadata/database.ts'
import { filesOfVersions, type VersionFile } from '../../metadata/packages/version-files.ts'
import { nodeEncoder, packageRecord, type RecordPlace, versionRecord } from '../records/encode-records.ts'
import { repositoryFile } from '../records/record-files.ts'
import type { BlobList } from './blob-list.ts'
import { type KeptParts, type Stretch, stretchesOf } from './kept-parts.ts'
import type { Spool } from './spool.ts'
import { createFileSpool, type SpooledFile } from './spooled-file.ts'

/** What of one repository goes into a run. */
export interface RepositoryReading {
  readonly reader: Reader
  readonly repository: RepositoryRow
  readonly spool: Spool
  /** Of an increment; undefined: all. */
  readonly since: Since | undefined
  readonly kept: KeptParts | undefined
  /** By size of the content. */
  listOf(sizeBytes: number): BlobList
}

const NODES_AT_ONCE = 1_000
/** Of an increment: each page looks up what changed since. */
const CHOSEN_AT_ONCE = 4_000
const PACKAGES_AT_ONCE = 500
/** Their extensions may be large. */
const VERSIONS_AT_ONCE = 200

export async function readNodes(reading: RepositoryReading, signal: AbortSignal): Promise<SpooledFile> {
  const { spool, repository, kept } = reading
  const place = placeOf(repository)
  const encode = nodeEncoder(place)
  const file = createFileSpool(spool, repositoryFile(place.project, place.repo, 'node'), kept?.node)
  for (const stretch of nodeStretches(kept)) {
    if ('kept' in stretch) {
      await file.keep(stretch.kept)
      continue
    }
    for await (const rows of pagesOfNodes(reading, stretch, signal)) {
      for (const row of rows) {
        if (file.add(row.path, encode(row))) await file.flush()
        if (row.sha256 === null) continue
        const list = reading.listOf(row.size)
        if (list.add(row.sha256, row.size)) await list.flush()
      }
    }
  }
  return file.done()
}

function nodeStretches(kept: KeptParts | undefined): Stretch[] {
  if (kept === undefined || kept.nodes === 'all') return [{ lo: '', hi: null }]
  if (kept.nodes === 'none') return kept.node.map((part) => ({ kept: part }))
  return stretchesOf(kept.node, kept.nodes)
}

async function* pagesOfNodes(
  { reader, repository, since }: RepositoryReading,
  { lo, hi }: { readonly lo: string; readonly hi: string | null },
  signal: AbortSignal,
): AsyncGenerator<NodeRow[]> {
  const limit = since === undefined ? NODES_AT_ONCE : CHOSEN_AT_ONCE
  const page = (after?: string) => pageNodes(reader, repository.id, { lo, hi, after, limit }, since)
  let next = page()
  for (;;) {
    signal.throwIfAborted()
    const rows = await next
    const isLast = rows.length < limit
    // While these are written down the next ones are read.
    if (!isLast) next = page(rows.at(-1)!.path)
    next.catch(() => {})
    yield rows
    if (isLast) return
  }
}

export async function readPackages(reading: RepositoryReading, signal: AbortSignal): Promise<SpooledFile> {
  const { reader, spool, repository, since, kept } = reading
  const place = placeOf(repository)
  const file = createFileSpool(spool, repositoryFile(place.project, place.repo, 'package'), kept?.package)
  if (kept?.packages === 'same') {
    for (const part of kept.package) await file.keep(part)
    return file.done()
  }
  for (let after = ''; ; ) {
    signal.throwIfAborted()
    const rows = await pagePackages(reader, repository.id, after, PACKAGES_AT_ONCE, since)
    for (const row of rows) {
      if (file.add(row.key, lineOf(packageRecord(place, row)))) await file.flush()
    }
    if (rows.length < PACKAGES_AT_ONCE) return file.done()
    after = rows.at(-1)!.key
  }
}

export async function readVersions(reading: RepositoryReading, signal: AbortSignal): Promise<SpooledFile> {
  const { reader, spool, repository, since, kept } = reading
  const place = placeOf(repository)
  const file = createFileSpool(spool, repositoryFile(place.project, place.repo, 'version'), kept?.version)
  if (kept?.packages === 'same') {
    for (const part of kept.version) await file.keep(part)
    return file.done()
  }
  for (let after = { package: '', version: '' }; ; ) {
    signal.throwIfAborted()
    const rows = await pageVersions(reader, repository.id, after, VERSIONS_AT_ONCE, since)
    const files = await filesOfVersions(
      reader,
      rows.map(({ id }) => id),
    )
    const byVersion = Map.groupBy(files, ({ versionId }) => versionId)
    for (const row of rows) {
      const record = versionRecord(place, row, byVersion.get(row.id) ?? NO_FILES)
      if (file.add(`${row.package_key}@${row.name}`, lineOf(record))) await file.flush()
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < VERSIONS_AT_ONCE) return file.done()
    after = { package: last.package_key, version: last.name }
  }
}
const NO_FILES: readonly VersionFile[] = []

export const lineOf = (record: object): string => `${JSON.stringify(record)}\n`

const placeOf = ({ project, name }: RepositoryRow): RecordPlace => ({ project, repo: name })
