import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import { metadataLanes, sameLanes } from '../../core/lanes.ts'
import { type NodePath, parentOf, ROOT } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { isExpired, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { claimedByOthers, dropVersionFiles } from '../../metadata/packages/version-files.ts'
import type { KeyedVersion } from '../../metadata/packages/versions.ts'
import { holdRepository, type Repository } from '../../metadata/repositories/repositories.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import { isGivenUp } from '../../metadata/storage/packed-blobs.ts'
import type { SmallContent, StagedBlob } from '../../storage/blob-store.ts'
import type { BlobIntake, PackedBlobs } from '../blobs/blob-intake.ts'
import { deleteFiles, type FileWrite, lockLive, nodeExisted, putFiles } from '../nodes/node-writer.ts'
import { nodeNotFound } from '../nodes/nodes.ts'
import { settle, stampOver } from '../nodes/settle.ts'
import { refuseSystemKeys } from '../nodes/system-metadata.ts'
import { repositoryNotFound } from '../repositories/repositories.ts'
import { requireUploads } from '../repositories/repository-uploads.ts'
import { type PackageRules, packageNamed, type RulesOf, requireRules, versionNotFound } from './package-rules.ts'
import {
  type Authorship,
  checkDraft,
  claimedElsewhere,
  type DraftFile,
  type HeldBlob,
  type VersionDraft,
  type VersionPart,
} from './version-draft.ts'
import { keepDisplaced, keptPlace } from './version-keeping.ts'
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
   * NODE_EXISTED, NODE_CONFLICT for what stands at the path of a file; NODE_NOT_FOUND for a `stored` one, BLOB_UNKNOWN for a held one;
   * VERSION_NOT_FOUND for one that was to take the place of another;
   * QUOTA_EXCEEDED.
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
    packed: PackedBlobs,
    signal: AbortSignal,
  ): Promise<Published> {
    const now = clock.now()
    if ((await holdRepository(trx, repository.id)) === undefined) {
      throw repositoryNotFound(repository.project, repository.name)
    }
    const { key } = packageNamed(rules, repository, draft.packageKey)
    const known = await knownVersion(trx, repository.id, key, draft.version)
    if (draft.onlyOver !== undefined && known.version?.digest !== draft.onlyOver) {
      throw versionNotFound(key, draft.version)
    }
    const paths = draft.files.map(({ path }) => path)
    const kept = keptPlace(rules, known.version)
    const own = kept === undefined ? paths : [...paths, kept.path]
    const current = await lockLive(trx, repository.id, [...new Set([...own, ...known.paths, ...own.map(parentOf)])])
    await intake.claim(trx, contentsOf(draft).staged, signal)
    if (packed.length > 0) await intake.claimPacked(trx, packed)
    await holdBlobs(trx, draft, current.get(known.version?.artifactPath ?? ROOT), now)
    const parts = partsOf(draft, current, now)
    const author = authorOf(by, now, stampOver(hlc, [...current.values(), ...(known.version ? [known.version] : [])]))
    const place = await takePlace(trx, repository, draft, known, parts, author, rules)
    if (place.isSame) return { version: place.before!, outcome: 'unchanged' }

    // Until its files are written it claims none: those of it that are replaced or deleted are nobody's business but ours.
    if (place.before !== undefined) await dropVersionFiles(trx, [place.before.id])
    await writeFiles(trx, repository, draft, { place, current, known: known.paths, author, now })
    const version = await putVersion(trx, place, draft, parts, author, rules, now)
    if (place.before !== undefined) {
      const displaced = { version: place.before, files: known.files, stamp: stampOf(author, now) }
      await keepDisplaced(trx, repository, [displaced], [], current, rules, now)
    }
    const obsolete = known.paths.filter((path) => !paths.includes(path) && current.has(path))
    const needed = await claimedByOthers(trx, repository.id, obsolete, [version.id])
    const gone = obsolete.filter((path) => !needed.has(path)).map((path) => current.get(path)!)
    await deleteFiles(trx, repository, gone, stampOf(author, now))
    return { version, outcome: place.before === undefined ? 'created' : 'replaced' }
  }

  return {
    async publish(repository, draft, by, signal) {
      if (draft.arrival !== 'fetched') requireUploads(repository)
      const rules = requireRules(rulesOf, repository)
      packageNamed(rules, repository, draft.packageKey)
      refuseSystemKeys((draft.metadata ?? []).map(({ key }) => key))
      checkDraft(draft)
      const { staged, small } = contentsOf(draft)
      await intake.prepare(staged, signal)
      for (let packings = 1; ; packings++) {
        const packed = small.length === 0 ? [] : await intake.pack(small, signal)
        signal.throwIfAborted()
        try {
          return await settle(() => db.transact((trx) => commit(trx, repository, draft, rules, by, packed, signal)))
        } catch (error) {
          if (!isGivenUp(error) || packings === MOST_PACKINGS) throw error
        }
      }
    },
  }
}

/** A segment that the database has given up is followed by another; that both are lost at once does not happen by accident. */
const MOST_PACKINGS = 3

const isHeld = (content: DraftFile['content']): content is HeldBlob => content !== 'stored' && 'held' in content
const isSmall = (content: DraftFile['content']): content is SmallContent => content !== 'stored' && 'bytes' in content

function contentsOf({ files }: VersionDraft): { readonly staged: StagedBlob[]; readonly small: SmallContent[] } {
  const staged: StagedBlob[] = []
  const small: SmallContent[] = []
  for (const { content } of files) {
    if (content === 'stored' || isHeld(content)) continue
    if (isSmall(content)) small.push(content)
    else staged.push(content)
  }
  return { staged, small }
}

/**
 * Keeps the blobs that the draft relies on, and that of a main file which may have to move. @param main of the version so far.
 * @throws AppError BLOB_UNKNOWN for one that the store does not promise any more.
 */
async function holdBlobs(
  trx: Transaction,
  { files }: VersionDraft,
  main: NodeRecord | undefined,
  now: number,
): Promise<void> {
  const held = files.filter((file): file is DraftFile & { content: HeldBlob } => isHeld(file.content))
  const wanted = new Set(held.map(({ content }) => content.digest))
  if (main?.digest !== undefined) wanted.add(main.digest)
  const here = await touchBlobs(trx, [...wanted], now)
  for (const { path, content } of held) {
    if (here.get(content.digest) === content.sizeBytes) continue
    const what = `The content ${content.digest} of file [${path}] is not here any more`
    throw new AppError('BLOB_UNKNOWN', `${what}: upload it again`, { digest: content.digest, path })
  }
}

const authorOf = (by: string, now: number, hlc: Authorship['hlc']): Authorship => ({
  ...{ createdBy: by, createdAt: now, modifiedBy: by, modifiedAt: now },
  ...{ origin: 0, hlc, viaLink: undefined, viaMark: undefined },
})

/** @throws AppError NODE_NOT_FOUND for a file that should be stored and is not. */
function partsOf(draft: VersionDraft, current: ReadonlyMap<NodePath, NodeRecord>, now: number): VersionPart[] {
  return draft.files.map(({ path, role, content }) => {
    if (content !== 'stored') return { path, role, digest: content.digest, sizeBytes: sizeOf(content) }
    const node = current.get(path)
    if (node?.digest === undefined || isExpired(node, now)) throw nodeNotFound(path)
    return { path, role, digest: node.digest, sizeBytes: node.sizeBytes }
  })
}

const sizeOf = (content: Exclude<DraftFile['content'], 'stored'>): number =>
  isSmall(content) ? content.bytes.length : content.sizeBytes
const NOT_KNOWN = { md5: undefined, crc64: undefined }

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
    const { digest } = content
    const { md5, crc64 } = isHeld(content) || isSmall(content) ? NOT_KNOWN : content
    return [{ path, digest, sizeBytes: sizeOf(content), md5, crc64, metadata, expiresAt: undefined, ...author }]
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
