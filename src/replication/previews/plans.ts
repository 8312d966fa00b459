import type { StoredCheck } from '../../artifacts/blobs/stored-check.ts'
import type { ClusterTarget } from '../../clusters/cluster.ts'
import type { Clock } from '../../core/clock.ts'
import { Semaphore } from '../../core/concurrency.ts'
import { notBuilt } from '../../core/errors.ts'
import type { Ids } from '../../core/ids.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import type { ForeignRegistries } from '../../formats/foreign.ts'
import { type ClusterClient, createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { TaskJudge } from '../../tasks/judge-task.ts'
import type { Tasks } from '../../tasks/tasks.ts'
import { countOutcomes } from '../delivery/outcome.ts'
import type { LinkView } from '../planning/link-plan.ts'
import type { ScopeSource } from '../planning/link-scope.ts'
import { specOf } from '../runs/load-spec.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import { type CheckedSide, checkedSide } from './check-contents.ts'
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
import { describePlace, goneReason, type LinkPlace, placesOf, toSameRepository, viewLink } from './previewed-links.ts'
import { planRegistryLink, type RegistryPreviewDeps, verifyRegistryLink } from './registry-previews.ts'
import { type VerifyLinkDeps, verifyLink } from './verify-link.ts'

/** What a run would do, and whether source and target are equal: found out without changing either. */
export interface Previews {
  /** Of a task that is not stored. @returns id of the plan. @throws AppError as creating it would, but for its name. */
  planUnstored(body: unknown, signal: AbortSignal): Promise<string>
  /** @returns id of the plan. @throws AppError TASK_NOT_FOUND. */
  plan(key: string, signal: AbortSignal): Promise<string>
  getPlan(id: string): Promise<StoredPreview & { readonly summary: PlanSummary }>
  /** Compares now, by reconciliation. @returns id of the proof. @throws AppError TASK_NOT_FOUND. */
  verify(key: string, how: ProofOrder, signal: AbortSignal): Promise<string>
  /** Proofs of a task that read contents and are not over, newest first. @throws AppError TASK_NOT_FOUND. */
  provingNow(key: string): Promise<readonly ProofUnderWay[]>
  getProof(id: string): Promise<StoredPreview & { readonly summary: ProofSummary }>
  page(id: string, ofClass: PreviewClass | undefined, page: PageRequest): Promise<Page<StoredItem>>
  sweep(signal: AbortSignal): Promise<void>
}

export interface ProofOrder {
  /** `leaves`: row by row instead of by sums. */
  readonly by: 'sums' | 'leaves'
  /** `read`: stored bytes of both sides are read again and compared with their digests. */
  readonly contents: 'read' | 'trusted'
}
export interface ProofUnderWay {
  readonly id: string
  readonly createdAt: number
  readonly clusterName: string
  readonly localRepo: string
  /** Of this link. */
  readonly files: number
  readonly filesInAll: number
  /** Read on both sides. */
  readonly bytes: number
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

export interface PreviewDeps extends ScopeSource, PlanLinkDeps, Omit<VerifyLinkDeps, 'how' | 'contents' | 'siblings'> {
  readonly clock: Clock
  readonly ids: Ids
  readonly judge: TaskJudge
  readonly tasks: Pick<Tasks, 'getDetail'>
  readonly store: PreviewStore
  /** Of this server. */
  readonly stored: StoredCheck
  /** How a repository type goes to registries of others; undefined: it does not. */
  foreignOf(repoType: string): ForeignRegistries | undefined
  getTarget(clusterId: string): Promise<ClusterTarget>
}

/** Others wait: each reads a whole repository at worst. */
const AT_ONCE = 2

export function createPreviews(deps: PreviewDeps): Previews {
  const { db, clock, ids, judge, tasks, store } = deps
  const turns = new Semaphore(AT_ONCE)

  async function stored(key: string): Promise<RunSpec> {
    const spec = specOf(ids.id(), key, await tasks.getDetail(key))
    if (spec.imports === undefined) return spec
    throw notBuilt('the plan of an import', 'is not built: execute it, what is here is not fetched again')
  }
  /** Clients, and what is counted of each target, for as long as one preview takes. */
  async function eachLink<T>(
    places: readonly LinkPlace[],
    work: (place: LinkPlace, linkNo: number, target: Connected) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T[]> {
    const found: T[] = []
    const connected = new Map<string, Connected>()
    try {
      for (const [linkNo, place] of places.entries()) {
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
  /** A registry has another protocol, and questions of its own. */
  async function ofRegistry<T>(
    { object }: LinkPlace,
    target: ClusterTarget,
    ask: (about: RegistryPreviewDeps) => Promise<T>,
  ): Promise<T> {
    const foreign = deps.foreignOf(object.repoType)
    if (foreign === undefined) throw notBuilt(`${object.repoType} to a registry`, 'is not built yet')
    using registry = foreign.connect(target)
    return await ask({ db, registry, registryName: new URL(target.url).host })
  }
  async function connect(id: string): Promise<Connected> {
    const target = await deps.getTarget(id)
    const client = createClusterClient(target, clock)
    const there = checkedSide(`[${target.name}]`, (digests, signal) => client.checkStored(digests, signal))
    return { target, client, counted: new Set(), there }
  }

  async function planAll(spec: RunSpec, taskKey: string | null, signal: AbortSignal): Promise<string> {
    using _turn = await turns.acquire()
    signal.throwIfAborted()
    const sink = await store.begin('plan', taskKey)
    const stoppedAt = new Set<string>()
    const planOne = async (place: LinkPlace, linkNo: number, target: Connected): Promise<LinkPreview> => {
      if (stoppedAt.has(place.target.id))
        return { ...describePlace(place), ...NOTHING_PLANNED, stopped: true, errorReason: null }
      const planned = await planPlace(place, linkNo, target)
      if (spec.errorStrategy === 'FAST_FAIL' && (planned.stopped || planned.errorReason !== null))
        stoppedAt.add(place.target.id)
      return planned
    }
    const planPlace = async (place: LinkPlace, linkNo: number, target: Connected): Promise<LinkPreview> => {
      const view = await viewLink(deps, spec, place)
      if (view === undefined) return { ...describePlace(place), ...NOTHING_PLANNED, errorReason: goneReason(place) }
      const add = (items: Parameters<PreviewSink['add']>[1]) => sink.add(linkNo, items)
      const planned = target.target.isRegistry
        ? ofRegistry(place, target.target, (about) => planRegistryLink(about, view, add, signal))
        : planLink(deps, view, target, add, signal)
      return { ...describePlace(place), ...(await planned) }
    }
    const links = await eachLink(placesOf(spec), planOne, signal)
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
      const here = checkedSide('the source', deps.stored.check)
      const places = placesOf(spec)
      const views = new Map<LinkPlace, LinkView | undefined>()
      const siblingsOf = async (place: LinkPlace): Promise<LinkView[]> => {
        const others = places.filter((other) => other !== place && toSameRepository(other, place))
        const found: LinkView[] = []
        for (const other of others) {
          const view = views.has(other) ? views.get(other) : await viewLink(deps, spec, other)
          views.set(other, view)
          if (view !== undefined) found.push(view)
        }
        return found
      }
      const verifyOne = async (place: LinkPlace, linkNo: number, target: Connected): Promise<LinkProof> => {
        const view = await viewLink(deps, spec, place)
        if (view === undefined) return { ...describePlace(place), ...NOTHING_PROVEN, errorReason: goneReason(place) }
        const add = (items: Parameters<PreviewSink['add']>[1]) => sink.add(linkNo, items)
        if (target.target.isRegistry) {
          const ask = (about: RegistryPreviewDeps) => verifyRegistryLink(about, view, how.contents, add, signal)
          return { ...describePlace(place), ...(await ofRegistry(place, target.target, ask)) }
        }
        const { clusterName, localRepo } = describePlace(place)
        const note = (progress: object) => sink.note({ clusterName, localRepo, ...progress })
        const contents = how.contents === 'read' ? { here, there: target.there, note } : undefined
        const order = { ...deps, how: how.by, contents, siblings: await siblingsOf(place) }
        return { ...describePlace(place), ...(await verifyLink(order, view, target.client, add, signal)) }
      }
      const links = await eachLink(places, verifyOne, signal)
      const summary: ProofSummary = { links, unlisted: sink.dropped }
      await sink.end(summary)
      return sink.id
    },
    async provingNow(key) {
      await tasks.getDetail(key)
      const found = await store.underWay(key)
      return found.map(({ progress, ...one }) => ({ ...one, ...(progress as object) }) as ProofUnderWay)
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
  readonly there: CheckedSide
}

const NOTHING_PLANNED = {
  creates: 'nothing',
  counts: noCounts(PLAN_CLASSES),
  counters: countOutcomes([], 0),
  stopped: false,
} as const
const NOTHING_PROVEN = { equal: false, expected: false, counts: noCounts(DIFFERENCE_CLASSES), files: 0 } as const
