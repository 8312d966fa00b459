import { type PackageRules, packageNamed, requireRules } from '../../artifacts/packages/package-rules.ts'
import { parseCrc64 } from '../../core/crc64.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { type Hlc, hlcMs, parseHlc } from '../../core/hlc.ts'
import { LATEST_TIME_MS } from '../../core/latest-time.ts'
import { checkMetadata } from '../../core/metadata.ts'
import { checkVersionName, parsePackagePath } from '../../core/package-key.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { Authors, EntryFrame, VersionFileEntry, VersionFrame } from '../../remotes/cluster/frames/frame.ts'
import { checkedPath } from './checked.ts'
import { type FileFrame, type ItemFrame, isPackageItem } from './incoming-batch.ts'

/** A source whose clock runs further ahead than this would win every later conflict (sync.md B.6). */
const MAX_SKEW_MS = 5 * 60_000
const MAX_CLUSTER_ID_LENGTH = 64
const MAX_USER_LENGTH = 256
const MAX_ROLE_LENGTH = 64
/** Of what a version says besides its files, as JSON, in characters. */
const MAX_WORDS_LENGTH = 512 * 1024
const CONTROL = /\p{Cc}/u

/** Who wrote something, and when. */
interface Stamp {
  readonly origin: string
  readonly hlc: Hlc
}
/** All that an item brings along. */
export function stampsIn(frame: ItemFrame): readonly Stamp[] {
  if (frame.type === 'content') return []
  return frame.type === 'version' ? [frame, frame.document.package, ...frame.document.files] : [frame]
}

/**
 * An item judged by itself: what is wrong with one of them is no reason to refuse the others. @returns why it is never taken.
 * @param rules of the repository's type; undefined: it knows no packages here.
 */
export function refusalOf(
  frame: ItemFrame,
  now: number,
  repository: Repository,
  rules: PackageRules | undefined,
): string | undefined {
  if (frame.type === 'content') return undefined
  try {
    for (const stamp of stampsIn(frame)) checkStamp(stamp, now)
    if (isPackageItem(frame)) {
      requireRules(() => rules, repository)
      const { key, version } = frame.type === 'version' ? keyAndVersion(frame) : placeIn(frame.path)
      packageNamed(rules!, repository, key)
      if (version !== '') checkVersionName(version)
    } else checkedPath(frame.path)
    if (frame.type === 'version') checkVersion(frame)
    else checkWriter(frame)
    return undefined
  } catch (error) {
    if (error instanceof AppError) return error.message
    throw error
  }
}
const keyAndVersion = ({ packageKey, version }: VersionFrame) => ({ key: packageKey, version })
function placeIn(path: string): { readonly key: string; readonly version: string } {
  const { key = '', version = '' } = parsePackagePath(path) ?? {}
  if (version === '') throw invalid('path', 'a deletion names a version')
  return { key, version }
}

function checkStamp({ hlc, origin }: Stamp, now: number): void {
  if (origin === '') throw invalid('origin', 'it is empty')
  checkName('origin', origin, MAX_CLUSTER_ID_LENGTH)
  if (parseHlc(hlc) === undefined) throw invalid('hlc')
  const aheadMs = hlcMs(hlc) - now
  if (aheadMs <= MAX_SKEW_MS) return
  const seconds = Math.round(aheadMs / 1000)
  throw new AppError('TASK_FAILED', `it is dated ${seconds} s in the future: set the clocks of both clusters`, {})
}

function checkWriter(frame: FileFrame): void {
  if (frame.type === 'delete') {
    checkName('deletedBy', frame.deletedBy, MAX_USER_LENGTH)
    return
  }
  if (frame.metadata !== null && frame.metadata.length > 0) checkMetadata(frame.metadata)
  checkName('modifiedBy', frame.modifiedBy, MAX_USER_LENGTH)
  checkTime('modifiedAt', frame.modifiedAt)
  if (frame.type === 'metadata') return
  checkFile(frame)
}

function checkFile(file: EntryFrame | VersionFileEntry): void {
  checkAuthors(file)
  if (file.metadata !== null && file.metadata.length > 0) checkMetadata(file.metadata)
  if (file.expiresAt !== null) checkTime('expiresAt', file.expiresAt)
  if (file.crc64 !== null && parseCrc64(file.crc64) !== file.crc64) {
    throw invalid('crc64', 'it is no unsigned decimal of 64 bits')
  }
}

function checkAuthors({ createdBy, createdAt, modifiedBy, modifiedAt }: Authors): void {
  checkName('modifiedBy', modifiedBy, MAX_USER_LENGTH)
  checkTime('modifiedAt', modifiedAt)
  checkName('createdBy', createdBy, MAX_USER_LENGTH)
  checkTime('createdAt', createdAt)
}

function checkVersion({ version, document }: VersionFrame): void {
  const { files, manifestPath, metadata, tags, stageTags, extension, written, package: owner } = document
  for (const file of files) {
    checkedPath(file.path)
    checkFile(file)
    checkName('role', file.role, MAX_ROLE_LENGTH)
  }
  if (manifestPath !== null) checkedPath(manifestPath)
  if (new Set(files.map(({ path }) => path)).size < files.length) throw invalid('files', 'a path comes twice')
  const mains = files.filter(({ role }) => role === 'main').length
  if (version !== '' && mains !== 1) throw invalid('files', 'exactly one has the role main')
  if (metadata !== null) checkMetadata(metadata)
  for (const [tag, name] of Object.entries(owner.versionTag)) {
    checkVersionName(tag)
    checkVersionName(name)
  }
  checkAuthors(written)
  checkAuthors(owner)
  const words = JSON.stringify([tags, stageTags, extension, owner.extension, owner.description])
  if (words.length > MAX_WORDS_LENGTH) throw invalid('document', `it says more than ${MAX_WORDS_LENGTH} characters`)
  if (
    /\\u0000|\\ud[89a-f]/i.test(words) &&
    !isStorable([tags, stageTags, extension, owner.extension, owner.description])
  )
    throw invalid('document', 'it holds what no database keeps')
}

/** Neither NUL nor half a surrogate pair, in any text within. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, inner]) => isStorable(key) && isStorable(inner))
}

/** Of a cluster or a user: whatever a database keeps as it is, and pages and headers show. */
function checkName(field: string, name: string, maxLength: number): void {
  if (name.length > maxLength) throw invalid(field, `it has more than ${maxLength} characters`)
  if (!name.isWellFormed()) throw invalid(field, 'it is not well-formed Unicode')
  if (CONTROL.test(name)) throw invalid(field, 'it holds a control character')
}

function checkTime(field: string, ms: number): void {
  if (ms >= LATEST_TIME_MS) throw invalid(field, 'it lies behind the year 9999')
}
