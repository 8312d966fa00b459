import { type Digest, parseDigest } from '../../core/digest.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { type NodePath, normalisePath, ROOT } from '../../core/paths.ts'
import { isExpired, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { StreamBegin } from '../../remotes/cluster/frames/frame.ts'

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

/** The repository is the one that the run was planned for, not another one that was made in its place. */
export function checkEpoch(repository: Repository, { epoch }: Pick<StreamBegin, 'epoch'>): void {
  if (repository.epoch === epoch) return
  const name = `${repository.project}/${repository.name}`
  throw new AppError(
    'PRECONDITION_FAILED',
    `Repository [${name}] was replaced at the target during the run: execute the task again`,
    {},
  )
}

/** The row as users see it: an expired one is not there. */
export const visible = (row: NodeRecord | undefined, now: number): NodeRecord | undefined =>
  row === undefined || isExpired(row, now) ? undefined : row
