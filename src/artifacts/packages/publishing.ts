import type { Clock } from '../../core/clock.ts'
import type { HlcClock } from '../../core/hlc.ts'
import { metadataLanes, sameLanes } from '../../core/lanes.ts'
import { type NodePath, parentOf } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { isExpired, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { claimedByOthers, replaceVersionFiles } from '../../metadata/packages/version-files.ts'
import type { KeyedVersion } from '../../metadata/packages/versions.ts'
import { holdRepository, type Repository } from '../../metadata/repositories/repositories.ts'
import type { BlobIntake } from '../blobs/blob-intake.ts'
import { deleteFiles, type FileWrite, lockLive, nodeExisted, putFiles } from '../nodes/node-writer.ts'
import { nodeNotFound } from '../nodes/nodes.ts'
import { settle, stampOver } from '../nodes/settle.ts'
import { refuseSystemKeys } from '../nodes/system-metadata.ts'
import { repositoryNotFound } from '../repositories/repositories.ts'
import { requireUploads } from '../repositories/repository-uploads.ts'
import { type PackageRules, packageNamed, type RulesOf, requireRules } from './package-rules.ts'
import { type Authorship, checkDraft, claimedElsewhere, type VersionDraft, type VersionPart } from './version-draft.ts'
import { knownVersion, putVersion, stampOf, takePlace, type VersionPlace } from './version-writer.ts'

export interface Published {
  readonly version: KeyedVersion
  /** `unchanged`: it was there, with the same files and words. */
  readonly outcome: 'created' | 'replaced' | 'unchanged'
}

export interface Publishing {
  /**
   * Makes a version visible, with all its files, its package and its row of the change log: one transaction. The staged bytes are
   * the caller's to dispose.
   * @throws AppError METHOD_NOT_ALLOWED for a repository that takes no packages; PARAMETER_INVALID, METADATA_INVALID; VERSION_EXISTED;
   * NODE_EXISTED, NODE_CONFLICT for what stands at the path of a file; NODE_NOT_FOUND for a `stored` one; QUOTA_EXCEEDED.
   */
  publish(repository: Repository, draft: VersionDraft, by: string, signal: AbortSignal): Promise<Published>
}

interface PublishingDeps {
  readonly db: MetadataDatabase
  readonly intake: BlobIntake
  readonly clock: Clock
  readonly hlc: HlcClock
  readonly rulesOf: RulesOf
}

export function createPublishing({ db, intake, clock, hlc, rulesOf }: PublishingDeps): Publishing {
  async function commit(
    trx: Transaction,
    repository: Repository,
    draft: VersionDraft,
    rules: PackageRules,
    by: string,
    signal: AbortSignal,
  ): Promise<Published> {
    const now = clock.now()
    if ((await holdRepository(trx, repository.id)) === undefined) {
      throw repositoryNotFound(repository.project, repository.name)
    }
    const { key } = packageNamed(rules, repository, draft.packageKey)
    const known = await knownVersion(trx, repository.id, key, draft.version)
    const paths = draft.files.map(({ path }) => path)
    const current = await lockLive(trx, repository.id, [...new Set([...paths, ...known.paths, ...paths.map(parentOf)])])
    await intake.claim(trx, stagedOf(draft), signal)
    const parts = partsOf(draft, current, now)
    const author = authorOf(by, now, stampOver(hlc, [...current.values(), ...(known.version ? [known.version] : [])]))
    const place = await takePlace(trx, repository, draft, known, parts, author, rules)
    if (place.isSame) return { version: place.before!, outcome: 'unchanged' }

    // Until its files are written it claims none: those of it that are replaced or deleted are nobody's business but ours.
    if (place.before !== undefined) await replaceVersionFiles(trx, repository.id, place.before.id, [])
    await writeFiles(trx, repository, draft, { place, current, known: known.paths, author, now })
    const version = await putVersion(trx, place, draft, parts, author, rules, now)
    const obsolete = known.paths.filter((path) => !paths.includes(path) && current.has(path))
    const needed = await claimedByOthers(trx, repository.id, obsolete, [version.id])
    const gone = obsolete.filter((path) => !needed.has(path)).map((path) => current.get(path)!)
    await deleteFiles(trx, repository, gone, stampOf(author, now))
    return { version, outcome: place.before === undefined ? 'created' : 'replaced' }
  }

  return {
    async publish(repository, draft, by, signal) {
      requireUploads(repository)
      const rules = requireRules(rulesOf, repository)
      packageNamed(rules, repository, draft.packageKey)
      refuseSystemKeys((draft.metadata ?? []).map(({ key }) => key))
      checkDraft(draft)
      await intake.prepare(stagedOf(draft), signal)
      signal.throwIfAborted()
      return settle(() => db.transact((trx) => commit(trx, repository, draft, rules, by, signal)))
    },
  }
}

const stagedOf = ({ files }: VersionDraft) => files.flatMap(({ content }) => (content === 'stored' ? [] : [content]))

const authorOf = (by: string, now: number, hlc: Authorship['hlc']): Authorship => ({
  ...{ createdBy: by, createdAt: now, modifiedBy: by, modifiedAt: now },
  ...{ origin: 0, hlc, viaLink: undefined, viaMark: undefined },
})

/** @throws AppError NODE_NOT_FOUND for a file that should be stored and is not. */
function partsOf(draft: VersionDraft, current: ReadonlyMap<NodePath, NodeRecord>, now: number): VersionPart[] {
  return draft.files.map(({ path, role, content }) => {
    if (content !== 'stored') return { path, role, digest: content.digest, sizeBytes: content.sizeBytes }
    const node = current.get(path)
    if (node?.digest === undefined || isExpired(node, now)) throw nodeNotFound(path)
    return { path, role, digest: node.digest, sizeBytes: node.sizeBytes }
  })
}

interface Surroundings {
  readonly place: VersionPlace
  readonly current: ReadonlyMap<NodePath, NodeRecord>
  /** Of the version's files so far. */
  readonly known: readonly NodePath[]
  readonly author: Authorship
  readonly now: number
}
/** Brings the new bytes of a version to their paths. A file that has them already stays as it is. */
async function writeFiles(
  trx: Transaction,
  repository: Repository,
  draft: VersionDraft,
  { place, current, known, author, now }: Surroundings,
): Promise<void> {
  const writes = draft.files.flatMap(({ path, content, metadata = [] }): FileWrite[] => {
    if (content === 'stored') return []
    const there = current.get(path)
    const isThere = there !== undefined && there.expiresAt === null && there.digest === content.digest
    if (isThere && sameLanes(there.metadataLanes, metadataLanes(path, metadata))) return []
    const { digest, sizeBytes, md5, crc64 } = content
    return [{ path, digest, sizeBytes, md5, crc64, metadata, expiresAt: undefined, ...author }]
  })
  const replaced = writes.flatMap(({ path, digest }) => {
    const there = current.get(path)
    return there === undefined || there.folder || isExpired(there, now) || there.digest === digest ? [] : [path]
  })
  const foreign = replaced.find((path) => !known.includes(path))
  if (foreign !== undefined && draft.existing === 'refuse') throw nodeExisted(foreign)
  const [claimed] = await claimedByOthers(trx, repository.id, replaced, place.before ? [place.before.id] : [])
  if (claimed !== undefined) throw claimedElsewhere(claimed)
  await putFiles(trx, repository, writes, current, now)
}
