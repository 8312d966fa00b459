import { packageNameOf } from '../../core/package-key.ts'
import type { ForeignFile, ForeignRegistry } from '../../formats/foreign.ts'
import type { Reader } from '../../metadata/database.ts'
import { type PushedVersions, pushedKey } from '../../metadata/replication/pushed-versions.ts'
import { packageRowsAt, type SourceVersion, sourceFilesOf } from '../../metadata/replication/source-versions.ts'
import type { ConflictStrategy } from '../../tasks/task.ts'
import { UNKNOWN, type VersionItem } from '../delivery/work-item.ts'
import { shareOfSource } from '../images/platform-shares.ts'
import { digestOfForm, formOf, namesOf, type VersionToPush } from './versions-to-push.ts'

/** A version as it is here. */
export interface FoundVersion {
  readonly item: VersionItem
  readonly version: VersionToPush
  readonly packageName: string
  /** It came from a third one, and is not passed on. */
  readonly isProxied: boolean
}
export interface JudgeDeps {
  readonly registry: Pick<ForeignRegistry, 'find'>
  readonly registryName: string
  readonly conflictStrategy: ConflictStrategy
  /** What is there by our own doing may be written over. */
  readonly pushed: PushedVersions
}
/** `names`: those under which it is to be put there. */
export type Judgement =
  | { readonly kind: 'push'; readonly names: readonly string[]; readonly conflict: boolean }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'kept' | 'failed'; readonly reason: string | undefined }

/** Metadata of versions that were fetched for somebody here. */
const PROXIED = { key: 'sourceType', value: 'PROXY' }
export const WHY_PROXIED =
  'it was fetched from another registry (sourceType=PROXY), and such versions are not passed on'

/** As it is now, which may be another than was listed. Undefined: it is gone. */
export async function readVersion(
  reader: Reader,
  repoId: number,
  wanted: VersionToPush,
): Promise<FoundVersion | undefined> {
  const [row] = (await packageRowsAt(reader, repoId, [wanted.path])).versions
  if (row === undefined || row.version.digest === null) return undefined
  const files = (await sourceFilesOf(reader, repoId, [row.version.id])).get(row.version.id) ?? []
  const whole: SourceVersion = { path: wanted.path, version: row.version, package: row.package, files }
  const source = wanted.share === undefined ? whole : shareOfSource(whole, wanted.share)
  return {
    item: { kind: 'version', path: wanted.path, expect: UNKNOWN, source },
    version: { ...wanted, digest: row.version.digest, sizeBytes: source.version.sizeBytes },
    packageName: packageNameOf(wanted.packageKey),
    isProxied: row.version.metadata.some(({ key, value }) => key === PROXIED.key && value === PROXIED.value),
  }
}

/** What a version consists of, leaves first. */
export const filesOf = ({ item }: FoundVersion): ForeignFile[] =>
  item.source.files.map(({ file: { path, digest, sizeBytes } }) => ({ path, digest, sizeBytes }))

/** What others put there under its names is treated as the task says (replication.md 3.5). One question for each name. */
export async function judgeVersion(
  { registry, registryName, conflictStrategy, pushed }: JudgeDeps,
  { version, packageName }: FoundVersion,
  signal: AbortSignal,
): Promise<Judgement> {
  const absent: string[] = []
  const foreign: string[] = []
  for (const name of namesOf(version)) {
    const there = await registry.find(packageName, name, signal)
    const known = pushed.get(pushedKey(version.path, name))?.digest
    const sent = known === undefined ? undefined : digestOfForm(known)
    // An index that was sent with other platforms has the same digest, and lacks something.
    if (there === version.digest && (sent !== there || known === formOf(version))) continue
    const isOurs = there === undefined || sent === there
    if (isOurs) absent.push(name)
    else foreign.push(name)
  }
  const conflict = foreign.length > 0
  if (conflict && conflictStrategy === 'SKIP') return { kind: 'kept', reason: undefined }
  if (conflict && conflictStrategy === 'FAST_FAIL') {
    const what = `registry [${registryName}] has something else as ${packageName}:${foreign.join(', ')}`
    return { kind: 'failed', reason: `${what}: delete it there, or let the task overwrite` }
  }
  if (absent.length + foreign.length === 0) return { kind: 'unchanged' }
  return { kind: 'push', names: [...absent, ...foreign], conflict }
}
