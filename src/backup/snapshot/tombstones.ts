import { ROOT } from '../../core/paths.ts'
import {
  type Ended,
  endedRepositories,
  pageEndedFiles,
  pageEndedFolders,
  pageEndedVersions,
} from '../../metadata/backup/ended-since.ts'
import type { Since } from '../../metadata/backup/since.ts'
import type { RepositoryRow } from '../../metadata/backup/snapshot-rows.ts'
import type { Reader } from '../../metadata/database.ts'
import type { TombstoneDocument } from '../records/documents.ts'
import { dateOf } from '../records/encode-records.ts'
import type { Selection } from '../records/selection.ts'

const ENDED_AT_ONCE = 1_000

/** A repository has the date of when its deletion began, and no row of the change log that tells when it was committed. */
const LATE_MS = 60 * 60_000

/** What was deleted since then and is not there again: versions, packages, files, folders of a repository, in this order; of folders the deepest first. */
export async function* endedInRepository(
  reader: Reader,
  { id, project, name }: RepositoryRow,
  since: Since,
): AsyncGenerator<TombstoneDocument> {
  const place = { projectId: project, repoName: name }
  let ended = ''
  for (let after = { packageKey: '', version: '' }; ; ) {
    const page = await pageEndedVersions(reader, id, since, after, ENDED_AT_ONCE)
    for (const { packageKey, version, withPackage, ...rest } of page) {
      yield { kind: 'VERSION', ...place, packageKey, version, ...whoAndWhen(rest) }
      if (withPackage && packageKey !== ended) yield { kind: 'PACKAGE', ...place, packageKey, ...whoAndWhen(rest) }
      ended = packageKey
    }
    if (page.length < ENDED_AT_ONCE) break
    after = page.at(-1)!
  }
  // Packages and versions have tombstones, too, below all paths of nodes.
  for (let after: string = ROOT; ; ) {
    const page = await pageEndedFiles(reader, id, since, after, ENDED_AT_ONCE)
    for (const { path, ...rest } of page) {
      yield { kind: 'NODE', ...place, fullPath: path, folder: false, ...whoAndWhen(rest) }
    }
    if (page.length < ENDED_AT_ONCE) break
    after = page.at(-1)!.path
  }
  for (let before: string | undefined; ; ) {
    const page = await pageEndedFolders(reader, id, before, ENDED_AT_ONCE)
    for (const { path, ...rest } of page) {
      yield { kind: 'NODE', ...place, fullPath: path, folder: true, ...whoAndWhen(rest) }
    }
    if (page.length < ENDED_AT_ONCE) break
    before = page.at(-1)!.path
  }
}

export async function* endedOfSelection(
  reader: Reader,
  selection: Selection,
  since: Since,
): AsyncGenerator<TombstoneDocument> {
  for (const { project, name, ...rest } of await endedRepositories(reader, since.date - LATE_MS)) {
    if (!selection.selects(project, name)) continue
    yield { kind: 'REPOSITORY', projectId: project, repoName: name, ...whoAndWhen(rest) }
  }
}

const whoAndWhen = ({ deletedBy, deletedAt }: Ended) => ({ deletedBy, deletedDate: dateOf(deletedAt) })
