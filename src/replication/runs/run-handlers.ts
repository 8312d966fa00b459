import type { Clock } from '../../core/clock.ts'
import type { JobQueue } from '../../jobs/job-queue.ts'
import type { JobHandler } from '../../jobs/worker.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { createExecLinks, type NewExecLink, openLinksTo } from '../../metadata/replication/exec-links.ts'
import { ensureLink, type Link } from '../../metadata/replication/links.ts'
import { dropLiveLinks, putLiveLinks } from '../../metadata/replication/live-links.ts'
import { findRunningRecord } from '../../metadata/replication/records.ts'
import { lockTask } from '../../metadata/replication/tasks.ts'
import { findRepository } from '../../metadata/repositories/repositories.ts'
import { NO_OVERVIEW } from '../../tasks/record.ts'
import { closeRecord, REPLICATE_JOB } from '../../tasks/runs.ts'
import { enqueueLink } from './link-job.ts'
import { linkKeyOf, runNumberOf } from './link-key.ts'
import type { RunObject, RunSpec, RunTarget } from './run-spec.ts'

interface RunHandlerDeps {
  readonly db: MetadataDatabase
  readonly queue: JobQueue
  readonly clock: Clock
  loadSpec(recordId: string): Promise<RunSpec | undefined>
  /** Links were made that follow changes. */
  onLinks(): void
}

/** `replicate` spreads a record over its links and wakes one job for each (`link-job.ts`). It may run again at any time. */
export function createRunHandlers({
  db,
  queue,
  clock,
  loadSpec,
  onLinks,
}: RunHandlerDeps): ReadonlyMap<string, JobHandler> {
  async function spread(recordId: string, from: number | null): Promise<void> {
    const spec = await loadSpec(recordId)
    if (spec === undefined) return
    await db.transact(async (trx) => {
      // Stopped meanwhile, or deleted with its task: then nothing may come back.
      if ((await lockTask(trx, spec.taskKey)) === undefined) return
      if ((await findRunningRecord(trx, spec.taskKey)) !== recordId) return
      const links: NewExecLink[] = []
      for (const object of spec.objects) {
        const repository = await findRepository(trx, object.localProject, object.localRepo)
        for (const target of spec.targets) {
          const wanted = newLink(spec, object, target, repository?.id ?? NO_REPOSITORY)
          if (spec.retry !== undefined && !spec.retry.has(wanted.key)) continue
          const link = await ensureLink(trx, wanted)
          links.push(newExecLink(spec, object, target, link))
        }
      }
      await createExecLinks(trx, links)
      if (links.length === 0 && spec.follows === undefined) return endEmpty(trx, recordId)
      if (spec.follows !== undefined) return follow(trx, spec, links, from)
      for (const linkId of await firstLinks(trx, spec, links)) await enqueueLink(queue, trx, { recordId, linkId })
    })
  }
  /** Whoever stops at the first failure goes through the objects of a target one after another (`link-close.ts`). */
  async function firstLinks(trx: Transaction, { recordId, errorStrategy }: RunSpec, links: readonly NewExecLink[]) {
    if (errorStrategy !== 'FAST_FAIL') return links.map(({ linkId }) => linkId)
    const first: number[] = []
    for (const clusterId of new Set(links.map((link) => link.clusterId))) {
      first.push(...(await openLinksTo(trx, recordId, clusterId)).slice(0, 1))
    }
    return first
  }
  /** They are followed by whoever claims them, and take no place among the jobs. */
  async function follow(trx: Transaction, spec: RunSpec, links: readonly NewExecLink[], from: number | null) {
    const { recordId, taskKey, follows } = spec
    const begun = { taskKey, recordId, run: runNumberOf(recordId), now: clock.now() }
    const fromSeq = follows?.backfill === false ? from : null
    await putLiveLinks(
      trx,
      links.map(({ linkId }) => ({ ...begun, linkId, fromSeq })),
    )
    await dropLiveLinks(
      trx,
      taskKey,
      links.map(({ linkId }) => linkId),
    )
  }
  /** A set of repositories that holds none at present. */
  async function endEmpty(trx: Transaction, recordId: string): Promise<void> {
    const nothing = { overview: NO_OVERVIEW, errorReason: null, replicatedBytes: 0, totalBytes: 0 }
    await closeRecord(trx, { recordId, status: 'SUCCESS', ...nothing, now: clock.now() })
  }
  return new Map<string, JobHandler>([
    [
      REPLICATE_JOB,
      async (job) => {
        const { recordId, from } = job.payload
        await spread(recordId!, from === undefined ? null : Number(from))
        onLinks()
        return undefined
      },
    ],
  ])
}

/** The repository was deleted since the task was made: the link ends FAILED and says so. */
const NO_REPOSITORY = 0

/** A link knows its scope from the end of its first run on. */
const NO_SCOPE = ''

function newLink(spec: RunSpec, object: RunObject, target: RunTarget, repoId: number) {
  const { localProject, localRepo, remoteProject, remoteRepo } = object
  const identity = { taskKey: spec.taskKey, clusterId: target.id, remoteProject, remoteRepo }
  const key = linkKeyOf({ ...identity, localProject, localRepo })
  return { ...identity, key, repoId, scopeHash: NO_SCOPE }
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
