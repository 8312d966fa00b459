import type { Clock } from '../../core/clock.ts'
import type { JobQueue } from '../../jobs/job-queue.ts'
import type { JobHandler } from '../../jobs/worker.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { createExecLinks, type NewExecLink } from '../../metadata/replication/exec-links.ts'
import { ensureLink, type Link } from '../../metadata/replication/links.ts'
import { findRepository } from '../../metadata/repositories/repositories.ts'
import { REPLICATE_JOB } from '../../tasks/runs.ts'
import { rangesOf } from '../planning/link-plan.ts'
import { linkKeyOf, scopeHashOf } from './link-key.ts'
import type { LinkEnd } from './link-runner.ts'
import type { RunObject, RunSpec, RunTarget } from './run-spec.ts'

/** Kind of the job that works on one link of a record; payload `{recordId, linkId}`. */
const REPLICATE_LINK = 'replicate-link'

interface RunHandlerDeps {
  readonly db: MetadataDatabase
  readonly queue: JobQueue
  readonly clock: Clock
  loadSpec(recordId: string): Promise<RunSpec | undefined>
  runLink(recordId: string, linkId: number, signal: AbortSignal): Promise<LinkEnd>
}

/**
 * `replicate` spreads a record over its links and wakes one job for each, so that a dead target never delays another;
 * `replicate-link` works on one of them. Both may run again at any time.
 */
export function createRunHandlers({ db, queue, loadSpec, runLink }: RunHandlerDeps): ReadonlyMap<string, JobHandler> {
  async function spread(recordId: string): Promise<void> {
    const spec = await loadSpec(recordId)
    if (spec === undefined) return
    await db.transact(async (trx) => {
      const links: NewExecLink[] = []
      for (const object of spec.objects) {
        const repository = await findRepository(trx, spec.project, object.localRepo)
        for (const target of spec.targets) {
          const link = await ensureLink(trx, newLink(spec, object, target, repository?.id ?? NO_REPOSITORY))
          links.push(newExecLink(spec, object, target, link))
        }
      }
      await createExecLinks(trx, links)
      for (const { linkId } of links) {
        const payload = { recordId, linkId: String(linkId) }
        await queue.enqueue({ kind: REPLICATE_LINK, dedupeKey: `${recordId}/${linkId}`, payload }, trx)
      }
    })
  }
  return new Map<string, JobHandler>([
    [
      REPLICATE_JOB,
      async (job) => {
        await spread(job.payload.recordId!)
        return undefined
      },
    ],
    [
      REPLICATE_LINK,
      async (job, signal) => {
        const end = await runLink(job.payload.recordId!, Number(job.payload.linkId), signal)
        return end === 'ended' ? undefined : end
      },
    ],
  ])
}

/** The repository was deleted since the task was made: the link ends FAILED and says so. */
const NO_REPOSITORY = 0

function newLink(spec: RunSpec, object: RunObject, target: RunTarget, repoId: number) {
  const { localRepo, remoteProject, remoteRepo } = object
  const identity = { taskKey: spec.taskKey, clusterId: target.id, remoteProject, remoteRepo }
  const key = linkKeyOf({ ...identity, localProject: spec.project, localRepo })
  return { ...identity, key, repoId, scopeHash: scopeHashOf(rangesOf(object.paths), spec.includeMetadata) }
}

function newExecLink(spec: RunSpec, object: RunObject, target: RunTarget, link: Link): NewExecLink {
  return {
    recordId: spec.recordId,
    linkId: link.id,
    clusterId: target.id,
    clusterName: target.name,
    localRepo: object.localRepo,
    repoType: object.repoType,
  }
}
