import { mapConcurrent } from '../../core/concurrency.ts'
import { messageOf } from '../../core/errors.ts'
import type { ForeignRegistry } from '../../formats/foreign.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { listDivergences } from '../../metadata/replication/divergences.ts'
import { pushedVersions } from '../../metadata/replication/pushed-versions.ts'
import { whyMissing } from '../delivery/detail-rows.ts'
import { countOutcomes } from '../delivery/outcome.ts'
import type { LinkView } from '../planning/link-plan.ts'
import { missingPackages } from '../planning/package-scope.ts'
import { countsOf } from '../registries/registry-run.ts'
import { filesOf, judgeVersion, readVersion, WHY_PROXIED } from '../registries/version-judgement.ts'
import { namesOf, pushScopeOf, type VersionToPush, withoutPushed } from '../registries/versions-to-push.ts'
import { LinkStopped, linkFate } from '../runs/stop-reasons.ts'
import type { Planned } from './plan-link.ts'
import {
  DIFFERENCE_CLASSES,
  type DifferenceClass,
  type LinkProof,
  noCounts,
  PLAN_CLASSES,
  type PlanClass,
  type PreviewItem,
  shownPath,
} from './preview.ts'

export interface RegistryPreviewDeps {
  readonly db: MetadataDatabase
  readonly registry: Pick<ForeignRegistry, 'find'>
  readonly registryName: string
}
type Add = (items: readonly PreviewItem[]) => Promise<void>
type Proof = Pick<LinkProof, 'equal' | 'expected' | 'counts' | 'files' | 'errorReason'>

const QUESTIONS_AT_ONCE = 8
const ACCEPTED: ReadonlySet<DifferenceClass> = new Set(['KEPT', 'FAILED'])

/** What a run would do now: it asks the registry what a run asks before it pushes, and nothing else. */
export async function planRegistryLink(
  deps: RegistryPreviewDeps,
  view: LinkView,
  add: Add,
  signal: AbortSignal,
): Promise<Planned> {
  const { db } = deps
  const { spec, link, object, repository } = view
  const counts = noCounts(PLAN_CLASSES)
  const counters = { ...countOutcomes([], 0) }
  const contents = new Set<string>()
  let stopped = false

  async function take(one: PreviewItem): Promise<void> {
    counts[one.class as PlanClass]++
    if (one.class === 'SEND') counters.ok++
    else if (one.class === 'FAIL') counters.failed++
    else counters.skipped++
    if (one.conflict) counters.conflict++
    await add([one])
    stopped ||= spec.errorStrategy === 'FAST_FAIL' && one.class === 'FAIL'
  }
  function equal(versions: number): void {
    counts.SKIP += versions
    counters.skipped += versions
    counters.unchanged += versions
  }
  async function planOne(wanted: VersionToPush, stop: AbortSignal): Promise<void> {
    const found = stopped ? undefined : await readVersion(db.read, repository.id, wanted)
    if (found === undefined) return
    const about = { path: shownPath(wanted.path), sizeBytes: found.version.sizeBytes }
    if (found.isProxied) return take({ ...about, class: 'KEEP', conflict: false, reason: WHY_PROXIED })
    const judged = await judgeVersion({ ...deps, conflictStrategy: spec.conflictStrategy, pushed }, found, stop)
    if (judged.kind === 'unchanged') return equal(1)
    if (judged.kind !== 'push') {
      const kind = judged.kind === 'kept' ? 'KEEP' : 'FAIL'
      return take({ ...about, class: kind, conflict: true, reason: judged.reason ?? null })
    }
    for (const { digest, sizeBytes } of filesOf(found)) {
      if (contents.has(digest)) continue
      contents.add(digest)
      counters.bytes += sizeBytes
    }
    await take({ ...about, class: 'SEND', conflict: judged.conflict, reason: null })
  }

  const pushes = pushScopeOf(object, view.scope.packages?.shares)
  const pushed = await pushedVersions(db.read, link.id)
  const all = await pushes.all(db.read, repository.id)
  const { missing, present } = withoutPushed(all, pushed, countsOf(spec, Number.MAX_SAFE_INTEGER))
  const absent = spec.follows === undefined ? await missingPackages(db.read, repository.id, pushes.named) : []
  equal(present.length)
  for (const path of absent) {
    await take({
      class: 'FAIL',
      path: shownPath(path),
      sizeBytes: null,
      conflict: false,
      reason: whyMissing(path),
    })
  }
  const atOnce = spec.errorStrategy === 'FAST_FAIL' ? 1 : QUESTIONS_AT_ONCE
  const errorReason = await told(mapConcurrent(missing, atOnce, planOne, signal), signal)
  return { creates: 'nothing', counts, counters, stopped, errorReason }
}

/** Whether the registry has every tag as it is here, by its own word. What others have there is none of ours. */
export async function verifyRegistryLink(
  deps: RegistryPreviewDeps,
  view: LinkView,
  contents: 'read' | 'trusted',
  add: Add,
  signal: AbortSignal,
): Promise<Proof> {
  const { db, registry } = deps
  const { spec, link, object, repository, scope } = view
  const counts = noCounts(DIFFERENCE_CLASSES)
  const pushed = await pushedVersions(db.read, link.id)
  const all = await pushScopeOf(object, scope.packages?.shares).all(db.read, repository.id)
  const { missing, present } = withoutPushed(all, pushed, countsOf(spec, 0))
  const meant = [...present, ...missing]
  const ledger = new Map((await listDivergences(db.read, link.id, scope.ranges)).map((one) => [one.path, one.reason]))

  async function verifyOne(wanted: VersionToPush, stop: AbortSignal): Promise<void> {
    const found = await readVersion(db.read, repository.id, wanted)
    if (found === undefined) return
    const there = new Map<string, string | undefined>()
    for (const name of namesOf(found.version)) there.set(name, await registry.find(found.packageName, name, stop))
    const differing = [...there].filter(([, digest]) => digest !== found.version.digest)
    if (differing.length === 0) return
    const isOther = differing.some(([, digest]) => digest !== undefined)
    const known = { conflict: 'KEPT', failed: 'FAILED' } as Readonly<Record<string, DifferenceClass>>
    const ofClass = known[ledger.get(wanted.path) ?? ''] ?? (isOther ? 'CONTENT' : 'MISSING')
    counts[ofClass]++
    const reason = differing.map(([name, digest]) => `${name}: ${digest ?? 'not there'}`).join(', ')
    const { sizeBytes } = found.version
    await add([{ class: ofClass, path: shownPath(wanted.path), sizeBytes, conflict: isOther, reason }])
  }

  const errorReason = await told(
    mapConcurrent(meant, QUESTIONS_AT_ONCE, verifyOne, signal).then(() => {
      if (contents === 'read')
        throw new LinkStopped(`registry [${deps.registryName}] reads no contents again for others`)
    }),
    signal,
  )
  const differ = DIFFERENCE_CLASSES.filter((one) => counts[one] > 0)
  const isKnown = errorReason === null
  return {
    equal: isKnown && differ.length === 0,
    expected: isKnown && differ.every((one) => ACCEPTED.has(one)),
    ...{ counts, files: meant.length, errorReason },
  }
}

/** Why it could not be found out; null: it was. */
async function told(work: Promise<unknown>, signal: AbortSignal): Promise<string | null> {
  try {
    await work
    return null
  } catch (error) {
    signal.throwIfAborted()
    if (linkFate(error) === 'defect') throw error
    return messageOf(error)
  }
}
