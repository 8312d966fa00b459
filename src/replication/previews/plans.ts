import type { ClusterTarget } from '../../clusters/cluster.ts'
import type { Clock } from '../../core/clock.ts'
import { Semaphore } from '../../core/concurrency.ts'
import type { Ids } from '../../core/ids.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import { type ClusterClient, createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { TaskJudge } from '../../tasks/judge-task.ts'
import type { Tasks } from '../../tasks/tasks.ts'
import { countOutcomes } from '../delivery/outcome.ts'
import { specOf } from '../runs/load-spec.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import { type Estimate, estimateTime } from './estimate.ts'
import { type PlanLinkDeps, planLink } from './plan-link.ts'
import {
  DIFFERENCE_CLASSES,
  type LinkPreview,
  type LinkProof,
  noCounts,
  PLAN_CLASSES,
  type PreviewClass,
} from './preview.ts'
import type { PreviewSink, PreviewStore, StoredItem, StoredPreview } from './preview-store.ts'
import { describePlace, goneReason, type LinkPlace, placesOf, viewLink } from './previewed-links.ts'
import { type VerifyLinkDeps, verifyLink } from './verify-link.ts'

/** What a run would do, and whether source and target are equal: found out without changing either. */
export interface Previews {
  /** Of a task that is not stored. @returns id of the plan. @throws AppError as creating it would, but for its name. */
  planUnstored(body: unknown, signal: AbortSignal): Promise<string>
  /** @returns id of the plan. @throws AppError TASK_NOT_FOUND. */
  plan(key: string, signal: AbortSignal): Promise<string>
  getPlan(id: string): Promise<StoredPreview & { readonly summary: PlanSummary }>
  /** Compares now, by reconciliation. @returns id of the proof. @throws AppError TASK_NOT_FOUND. */
  verify(key: string, how: 'sums' | 'leaves', signal: AbortSignal): Promise<string>
  getProof(id: string): Promise<StoredPreview & { readonly summary: ProofSummary }>
  page(id: string, ofClass: PreviewClass | undefined, page: PageRequest): Promise<Page<StoredItem>>
  sweep(signal: AbortSignal): Promise<void>
}

export interface PlanSummary {
  readonly links: readonly LinkPreview[]
  readonly estimate: Estimate
  /** Artifacts that are counted and have no item: of each class 100,000 are kept. */
  readonly unlisted: number
}
export interface ProofSummary {
  readonly links: readonly LinkProof[]
  readonly unlisted: number
}

export interface PreviewDeps extends PlanLinkDeps, Omit<VerifyLinkDeps, 'how'> {
  readonly clock: Clock
  readonly ids: Ids
  readonly judge: TaskJudge
  readonly tasks: Pick<Tasks, 'getDetail'>
  readonly store: PreviewStore
  getTarget(clusterId: string): Promise<ClusterTarget>
}

/** Others wait: each reads a whole repository at worst. */
const AT_ONCE = 2

export function createPreviews(deps: PreviewDeps): Previews {
  const { db, clock, ids, judge, tasks, store } = deps
  const turns = new Semaphore(AT_ONCE)

  async function stored(key: string): Promise<RunSpec> {
    return specOf(ids.id(), key, await tasks.getDetail(key))
  }
  /** Clients, and what is counted of each target, for as long as one preview takes. */
  async function eachLink<T>(
    spec: RunSpec,
    work: (place: LinkPlace, linkNo: number, target: Connected) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T[]> {
    const found: T[] = []
    const connected = new Map<string, Connected>()
    try {
      for (const [linkNo, place] of placesOf(spec).entries()) {
        signal.throwIfAborted()
        const { id } = place.target
        const known = connected.get(id) ?? (await connect(id))
        connected.set(id, known)
        found.push(await work(place, linkNo, known))
      }
    } finally {
      for (const { client } of connected.values()) client[Symbol.dispose]()
    }
    return found
  }
  async function connect(id: string): Promise<Connected> {
    const target = await deps.getTarget(id)
    return { target, client: createClusterClient(target, clock), counted: new Set() }
  }

  async function planAll(spec: RunSpec, taskKey: string | null, signal: AbortSignal): Promise<string> {
    using _turn = await turns.acquire()
    signal.throwIfAborted()
    const sink = await store.begin('plan', taskKey)
    const planOne = async (place: LinkPlace, linkNo: number, target: Connected): Promise<LinkPreview> => {
      const view = await viewLink(db, spec, place)
      if (view === undefined) return { ...describePlace(place), ...NOTHING_PLANNED, errorReason: goneReason(place) }
      const add = (items: Parameters<PreviewSink['add']>[1]) => sink.add(linkNo, items)
      return { ...describePlace(place), ...(await planLink(deps, view, target, add, signal)) }
    }
    const links = await eachLink(spec, planOne, signal)
    const bytes = links.reduce((sum, { counters }) => sum + counters.bytes, 0)
    const artifacts = links.reduce((sum, { counts }) => sum + counts.SEND + counts.DELETE, 0)
    const estimate = await estimateTime(db.read, taskKey, { bytes, artifacts })
    const summary: PlanSummary = { links, estimate, unlisted: sink.dropped }
    await sink.end(summary)
    return sink.id
  }

  return {
    async planUnstored(body, signal) {
      const plan = await judge.judgeUnstored(db.read, body)
      await judge.connect(plan, signal)
      const key = ids.key()
      return planAll(specOf(ids.id(), key, { task: plan, objects: plan.objects }), null, signal)
    },
    plan: async (key, signal) => planAll(await stored(key), key, signal),
    getPlan: async (id) => (await store.get('plan', id)) as StoredPreview & { summary: PlanSummary },

    async verify(key, how, signal) {
      const spec = await stored(key)
      using _turn = await turns.acquire()
      signal.throwIfAborted()
      const sink = await store.begin('verify', key)
      const verifyOne = async (place: LinkPlace, linkNo: number, { client }: Connected): Promise<LinkProof> => {
        const view = await viewLink(db, spec, place)
        if (view === undefined) return { ...describePlace(place), ...NOTHING_PROVEN, errorReason: goneReason(place) }
        const add = (items: Parameters<PreviewSink['add']>[1]) => sink.add(linkNo, items)
        return { ...describePlace(place), ...(await verifyLink({ ...deps, how }, view, client, add, signal)) }
      }
      const links = await eachLink(spec, verifyOne, signal)
      const summary: ProofSummary = { links, unlisted: sink.dropped }
      await sink.end(summary)
      return sink.id
    },
    getProof: async (id) => (await store.get('verify', id)) as StoredPreview & { summary: ProofSummary },
    page: store.page,
    sweep: store.sweep,
  }
}

interface Connected {
  readonly target: ClusterTarget
  readonly client: ClusterClient
  readonly counted: Set<number>
}

const NOTHING_PLANNED = {
  creates: 'nothing',
  counts: noCounts(PLAN_CLASSES),
  counters: countOutcomes([], 0),
  stopped: false,
} as const
const NOTHING_PROVEN = { equal: false, expected: false, counts: noCounts(DIFFERENCE_CLASSES), files: 0 } as const
