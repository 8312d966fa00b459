import type { PackageRules } from '../../artifacts/packages/package-rules.ts'
import { packageNamed } from '../../artifacts/packages/package-rules.ts'
import { invalid } from '../../core/errors.ts'
import { checkVersionName, type PackageKey } from '../../core/package-key.ts'
import { type NodePath, normalisePath } from '../../core/paths.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { DecodedVersion } from '../records/decoded.ts'

/** A version whose names and files were judged. */
export interface VersionToRestore extends Omit<DecodedVersion, 'files' | 'manifestPath'> {
  readonly key: PackageKey
  readonly manifestPath: NodePath | null
  /** Leaves first, exactly one of them `main`. */
  readonly files: readonly { readonly path: NodePath; readonly role: string }[]
}

/** Of a version, as of a draft. */
const MAX_FILES = 10_000

/** @throws AppError PARAMETER_INVALID. Pure. */
export function versionToRestore(
  rules: PackageRules,
  repository: Pick<Repository, 'type'>,
  version: DecodedVersion,
): VersionToRestore {
  const { key } = packageNamed(rules, repository, version.packageKey)
  checkVersionName(version.name)
  const files = version.files ?? onlyFile(version)
  if (files.length > MAX_FILES) throw invalid('files', `a version has at most ${MAX_FILES}`)
  if (new Set(files.map(({ path }) => path)).size < files.length) throw invalid('files', 'a path comes twice')
  if (files.filter(({ role }) => role === 'main').length !== 1) throw invalid('files', 'exactly one has the role main')
  const { manifestPath } = version
  return {
    ...version,
    ...{ key, files },
    manifestPath: manifestPath === null || manifestPath === '' ? null : checkedPath('manifestPath', manifestPath),
  }
}

/** Where nothing is said of files, there is the one that the version is known by. */
function onlyFile({ artifactPath }: DecodedVersion): VersionToRestore['files'] {
  if (artifactPath === null) throw invalid('artifactPath', 'it is missing, and so are files')
  return [{ path: checkedPath('artifactPath', artifactPath), role: 'main' }]
}

function checkedPath(name: string, text: string): NodePath {
  const path = normalisePath(text)
  if (path !== text) throw invalid(name, 'it is not in its normal form')
  return path
}
