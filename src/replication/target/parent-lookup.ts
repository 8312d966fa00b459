import { type NodePath, parentOf, ROOT } from '../../core/paths.ts'

/**
 * `parentOf` for paths that come in their order: files of one folder get the very same text for it, which sets and maps then find
 * without hashing it anew.
 */
export function createParentLookup(): (path: NodePath) => NodePath {
  let last = ROOT
  return (path) => {
    const isSame = last !== ROOT && path.lastIndexOf('/') === last.length && path.startsWith(last)
    if (!isSame) last = parentOf(path)
    return last
  }
}
