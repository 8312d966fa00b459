import type { Reader } from '../../metadata/database.ts'
import { type LinkProgress, linkProgress } from '../../metadata/replication/link-progress.ts'
import type { ExecutionRecord } from '../record.ts'
import type { V1Log, V1Origin, V1Progress } from './v1-task.ts'

/** Runs in the words of the older API, in the order given. */
export async function v1Logs(reader: Reader, records: readonly ExecutionRecord[], origin: V1Origin): Promise<V1Log[]> {
  const links = await linkProgress(
    reader,
    records.map(({ id }) => id),
  )
  return records.map((record) => ({
    taskKey: record.taskKey,
    status: statusOf(record, origin.interruptedAt),
    progress: progressOf(record, links.get(record.id) ?? []),
    startedAt: record.startedAt,
    endedAt: record.endedAt,
    errorReason: record.errorReason,
  }))
}

function statusOf({ status, startedAt, endedAt }: ExecutionRecord, interruptedAt: number | null): V1Log['status'] {
  if (status === 'RUNNING') return 'REPLICATING'
  const interrupted = interruptedAt !== null && startedAt <= interruptedAt && (endedAt ?? 0) >= interruptedAt
  return interrupted ? 'INTERRUPTED' : status
}

/** A repository has failed when its link did, or one of its files; a project when one of its repositories did. */
function progressOf({ overview }: ExecutionRecord, links: readonly LinkProgress[]): V1Progress {
  const projects = [...Map.groupBy(links, ({ project }) => project).values()]
  const ended = (link: LinkProgress) => link.state !== 'running'
  const failed = (link: LinkProgress) => link.state === 'failed'
  const done = projects.filter((repositories) => repositories.every(ended))
  const failedProject = done.filter((repositories) => repositories.some(failed)).length
  const replicatedRepo = links.filter(ended).length
  const failedRepo = links.filter(failed).length
  const { success = 0, skip = 0, failed: failedNode = 0, conflict: conflictedNode = 0 } = overview ?? {}
  const replicatedNode = success + skip + failedNode
  const totalNode = links.reduce((total, { artifacts }) => total + artifacts, 0)
  return {
    totalProject: projects.length,
    totalRepo: links.length,
    totalNode: Math.max(totalNode, replicatedNode),
    replicatedProject: done.length,
    successProject: done.length - failedProject,
    failedProject,
    replicatedRepo,
    successRepo: replicatedRepo - failedRepo,
    failedRepo,
    replicatedNode,
    successNode: success + skip,
    conflictedNode,
    failedNode,
  }
}
