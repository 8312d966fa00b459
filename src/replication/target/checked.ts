import { type Digest, parseDigest } from '../../core/digest.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { type NodePath, normalisePath, ROOT } from '../../core/paths.ts'

/** A path from another cluster is normalised there already: one that is not would be stored under another name here. */
export function checkedPath(raw: string): NodePath {
  const path = normalisePath(raw)
  if (path !== raw || path === ROOT) {
    throw new AppError('PATH_INVALID', `Path [${path}] is not in its normal form`, {})
  }
  return path
}

export function checkedDigest(hex: string): Digest {
  const digest = parseDigest(hex)
  if (digest === undefined) throw invalid('sha256', 'it must be 64 hex digits')
  return digest
}
