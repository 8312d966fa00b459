import type { PackageConstraint } from '../task.ts'

/** A package constraint in words that stand for a path in lists of what is missing, e.g. `packageRegex [left-.*]`. */
export function packageWords({ packageKey, packageRegex, versionRegex, versions }: PackageConstraint): string {
  const parts = { packageKey, packageRegex, versionRegex, versions: versions?.length ? versions.join(' ') : null }
  const given = Object.entries(parts).flatMap(([name, text]) => (text == null ? [] : [`${name} [${text}]`]))
  return given.join(', ').slice(0, MAX_WORDS)
}
const MAX_WORDS = 500

const WORDS = /^(?:packageKey|packageRegex|versionRegex) \[/
/** No path begins so. */
export const isPackageWords = (path: string): boolean => WORDS.test(path)
