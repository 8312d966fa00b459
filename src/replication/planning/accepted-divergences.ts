import type { Divergence } from '../../metadata/replication/divergences.ts'
import type { RunSpec } from '../runs/run-spec.ts'

/**
 * What SKIP leaves as it is, and what the target deleted or changed later, as long as neither side changes it and it differs in what is
 * compared.
 */
export function isAccepted({ reason, delta }: Divergence, spec: RunSpec): boolean {
  const { conflictStrategy, includeMetadata, propagateDelete } = spec
  const isLeft = reason === 'conflict' ? conflictStrategy === 'SKIP' : reason === 'superseded' && propagateDelete
  if (!isLeft || delta === undefined) return false
  return includeMetadata || delta.rows !== 0 || delta.content.some((lane) => lane !== 0n)
}
