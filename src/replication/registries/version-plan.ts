import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import {
  beginCopying,
  type ExecLink,
  findExecLink,
  holdsPlanning,
  takePlanning,
} from '../../metadata/replication/exec-links.ts'
import { createShards } from '../../metadata/replication/exec-shards.ts'
import { type DetailWrite, putDetails } from '../../metadata/replication/record-details.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import { NO_LOG } from './version-shard.ts'

/** What a run between us and a registry has to do. */
export interface VersionPlan {
  /** Of what the task names and nobody has. */
  readonly absent: readonly DetailWrite[]
  /** Versions that are there already. */
  readonly unchanged: number
  readonly versions: number
  /** As far as it is known. */
  readonly bytes: number
}

/** Shard 0 holds what is known without looking. */
const WORK_SHARD = 1

/** Persists the work of a link as one shard. @returns undefined: the run is gone; still PENDING: somebody else plans it. */
export async function planVersions(
  db: MetadataDatabase,
  { spec, execLink, link, repository, scope }: LinkWork,
  look: () => Promise<VersionPlan>,
): Promise<ExecLink | undefined> {
  if (execLink.state !== 'PENDING') return execLink
  const { recordId } = spec
  const token = await db.transact((trx) => takePlanning(trx, recordId, link.id))
  if (token === undefined) return findExecLink(db.read, recordId, link.id)
  // Before the look: what changes after it is seen by the next one.
  await numberChanges(db)
  const toSeq = await headSeq(db.read, repository.id)
  const { absent, unchanged, versions, bytes } = await look()
  await db.transact(async (trx) => {
    if (!(await holdsPlanning(trx, recordId, link.id, token))) return
    await putDetails(trx, absent)
    const whole = { kind: 'range', lo: '', hi: null } as const
    const settled = { unchanged, failed: absent.length }
    await createShards(trx, recordId, link.id, [
      { ...whole, shardNo: 0, files: unchanged + absent.length, bytes: 0, settled },
      { ...whole, shardNo: WORK_SHARD, files: versions, bytes },
    ])
    const linkPlan = { mode: 'cursor', toSeq, remote: NO_LOG, scopeHash: scope.scopeHash } as const
    await beginCopying(trx, recordId, link.id, linkPlan)
  })
  return findExecLink(db.read, recordId, link.id)
}
