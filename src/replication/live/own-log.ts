import { AppError } from '../../core/errors.ts'
import type { Reader } from '../../metadata/database.ts'
import { findLiveFacts, type LiveClaim } from '../../metadata/replication/live-links.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'

/**
 * Whether our log still tells all that changed in the link's repository since `seq`; if not, only a comparison goes on.
 * @throws LeaseLost when the link is somebody else's; AppError REPOSITORY_NOT_FOUND.
 */
export async function tellsChangesSince(
  reader: Reader,
  claim: LiveClaim,
  { object, scope }: Pick<LinkWork, 'object' | 'scope'>,
  seq: number,
): Promise<boolean> {
  const facts = await findLiveFacts(reader, claim.linkId)
  if (facts === undefined || facts.token !== claim.token) throw new LeaseLost()
  if (facts.epoch === null || facts.deletedAt !== null) {
    const name = `${object.localProject}/${object.localRepo}`
    throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${name}] not found here`, { name })
  }
  return facts.epoch === scope.repository.epoch && facts.floorSeq! <= seq
}
