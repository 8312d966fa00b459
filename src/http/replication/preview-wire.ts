import { type Static, Type } from 'typebox'
import type { Page } from '../../core/paging.ts'
import type { PlanSummary, ProofSummary, ProofUnderWay } from '../../replication/previews/plans.ts'
import { DIFFERENCE_CLASSES, PLAN_CLASSES, type PreviewedLink } from '../../replication/previews/preview.ts'
import type { StoredItem, StoredPreview } from '../../replication/previews/preview-store.ts'
import type { Dates } from '../dates.ts'
import { PageData, toPage } from '../paging.ts'
import { nullable } from './task-schemas.ts'

const Count = Type.Integer()
const countsOf = (classes: readonly string[]) =>
  Type.Object(Object.fromEntries(classes.map((one) => [one.toLowerCase(), Count])))
const PLACE = {
  clusterId: Type.String(),
  clusterName: Type.String(),
  localProjectId: Type.String(),
  localRepoName: Type.String(),
  remoteProjectId: Type.String(),
  remoteRepoName: Type.String(),
  errorReason: nullable(Type.String({ description: 'Why not all of this link could be found out' })),
}
const SUMS = {
  counts: countsOf(PLAN_CLASSES),
  overview: Type.Object({ success: Count, skip: Count, failed: Count, conflict: Count, fileSuccess: Count }),
  bytes: Type.Integer({ description: 'Of contents that the target lacks: these travel' }),
}
const Item = Type.Object({
  class: Type.String(),
  path: Type.String(),
  size: nullable(Type.Integer()),
  conflict: Type.Boolean(),
  reason: nullable(Type.String()),
  clusterName: Type.String(),
  localRepoName: Type.String(),
})
const HEAD = { createdDate: Type.String(), expiresDate: Type.String() }
const LISTED = {
  unlisted: Type.Integer({ description: 'Paths that are counted and not listed: of each class 100,000 are' }),
  items: PageData(Item),
}

export const PlanInfo = Type.Object({
  planId: Type.String(),
  taskKey: nullable(Type.String()),
  ...HEAD,
  total: Type.Object(SUMS),
  estimate: Type.Object({
    seconds: nullable(Type.Integer()),
    basis: Type.String({ description: "TASK: by the task's earlier runs; SERVER: by those of others; UNKNOWN: none" }),
  }),
  links: Type.Array(
    Type.Object({
      ...PLACE,
      creates: Type.String({ description: 'What would be made at the target first' }),
      stopped: Type.Boolean({ description: 'FAST_FAIL: the run would stop at the first failure' }),
      ...SUMS,
    }),
  ),
  ...LISTED,
})
export const ProofInfo = Type.Object({
  proofId: Type.String(),
  taskKey: Type.String(),
  ...HEAD,
  equal: Type.Boolean({ description: 'Nothing differs' }),
  expected: Type.Boolean({ description: 'Nothing differs but what was kept by SKIP, and what failed so far' }),
  links: Type.Array(
    Type.Object({
      ...PLACE,
      equal: Type.Boolean(),
      expected: Type.Boolean(),
      files: Count,
      counts: countsOf(DIFFERENCE_CLASSES),
    }),
  ),
  ...LISTED,
})

export const ProofUnderWayInfo = Type.Object({
  proofId: Type.String(),
  createdDate: Type.String(),
  clusterName: Type.String(),
  localRepoName: Type.String(),
  files: Type.Integer({ description: 'Of this repository and cluster, read so far' }),
  totalFiles: Count,
  bytes: Type.Integer({ description: 'Read so far, on both sides' }),
})
export const toProofUnderWay = (one: ProofUnderWay, dates: Dates): Static<typeof ProofUnderWayInfo> => ({
  proofId: one.id,
  createdDate: dates.format(one.createdAt),
  clusterName: one.clusterName,
  localRepoName: one.localRepo,
  files: one.files,
  totalFiles: one.filesInAll,
  bytes: one.bytes,
})

const toPlace = (link: PreviewedLink) => ({
  clusterId: link.clusterId,
  clusterName: link.clusterName,
  localProjectId: link.localProject,
  localRepoName: link.localRepo,
  remoteProjectId: link.remoteProject,
  remoteRepoName: link.remoteRepo,
  errorReason: link.errorReason,
})
const toCounts = (counts: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [name.toLowerCase(), count]))
const toItems = (links: readonly PreviewedLink[], page: Page<StoredItem>) =>
  toPage(page, ({ linkNo, sizeBytes, ...item }) => {
    const { clusterName, localRepo } = links[linkNo]!
    return { ...item, size: sizeBytes, clusterName, localRepoName: localRepo }
  })

export function toPlanInfo(
  plan: StoredPreview & { readonly summary: PlanSummary },
  page: Page<StoredItem>,
  dates: Dates,
): Static<typeof PlanInfo> {
  const { links, estimate, unlisted } = plan.summary
  return {
    planId: plan.id,
    taskKey: plan.taskKey,
    createdDate: dates.format(plan.createdAt),
    expiresDate: dates.format(plan.expiresAt),
    total: totalOf(links.map(toSums)),
    estimate,
    links: links.map((link) => ({
      ...toPlace(link),
      creates: link.creates,
      stopped: link.stopped,
      ...toSums(link),
    })),
    unlisted,
    items: toItems(links, page),
  }
}

type Sums = ReturnType<typeof toSums>
function toSums({ counts, counters }: PlanSummary['links'][number]) {
  const { ok, skipped, failed, conflict, fileOk, bytes } = counters
  const overview = { success: ok, skip: skipped, failed, conflict, fileSuccess: fileOk }
  return { counts: toCounts(counts), overview, bytes }
}
function totalOf(links: readonly Sums[]): Sums {
  const added = <T extends Readonly<Record<string, number>>>(of: (link: Sums) => T, names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, links.reduce((sum, link) => sum + (of(link)[name] ?? 0), 0)]))
  const counts = added(
    ({ counts }) => counts,
    PLAN_CLASSES.map((one) => one.toLowerCase()),
  )
  const overview = added(({ overview }) => overview, ['success', 'skip', 'failed', 'conflict', 'fileSuccess'])
  return { counts, overview: overview as Sums['overview'], bytes: links.reduce((sum, { bytes }) => sum + bytes, 0) }
}

export function toProofInfo(
  proof: StoredPreview & { readonly summary: ProofSummary },
  page: Page<StoredItem>,
  dates: Dates,
): Static<typeof ProofInfo> {
  const { links, unlisted } = proof.summary
  return {
    proofId: proof.id,
    taskKey: proof.taskKey ?? '',
    createdDate: dates.format(proof.createdAt),
    expiresDate: dates.format(proof.expiresAt),
    equal: links.every(({ equal }) => equal),
    expected: links.every(({ expected }) => expected),
    links: links.map((link) => ({
      ...toPlace(link),
      equal: link.equal,
      expected: link.expected,
      files: link.files,
      counts: toCounts(link.counts),
    })),
    unlisted,
    items: toItems(links, page),
  }
}
