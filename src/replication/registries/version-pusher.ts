import type { Clock } from '../../core/clock.ts'
import { AppError, hasCode, messageOf } from '../../core/errors.ts'
import type { ForeignPushOptions, ForeignRegistry } from '../../formats/foreign.ts'
import type { Reader } from '../../metadata/database.ts'
import type { Outcome } from '../delivery/outcome.ts'
import { filesOf, type JudgeDeps, judgeVersion, readVersion, WHY_PROXIED } from './version-judgement.ts'
import { formOf, namesOf, type VersionToPush } from './versions-to-push.ts'

/** What became of a version, and what the registry has of it since. */
export interface PushOutcome {
  readonly outcome: Outcome
  readonly pushed: readonly { readonly path: string; readonly target: string; readonly digest: string }[]
}

export interface PusherDeps extends JudgeDeps {
  readonly reader: Reader
  readonly clock: Clock
  readonly registry: ForeignRegistry
  readonly options: ForeignPushOptions
  /** Of a version whose push breaks off while the registry is there for others. */
  readonly attempts: number
}

/** Between attempts; each has tried every request of its own several times. */
const BETWEEN_ATTEMPTS_MS = 5_000

/**
 * Brings one version to a registry. Undefined: the version is gone here.
 * @throws what passes (the registry is away); a refusal of this version is its outcome.
 */
export async function pushVersion(
  deps: PusherDeps,
  repoId: number,
  wanted: VersionToPush,
  signal: AbortSignal,
): Promise<PushOutcome | undefined> {
  const { registry, clock } = deps
  const startedAt = clock.now()
  const found = await readVersion(deps.reader, repoId, wanted)
  if (found === undefined) return undefined
  const { item, version, packageName } = found
  const ended = (result: Outcome['result'], more: Partial<Outcome> = {}): Outcome => ({
    ...{ item, result, conflict: false, attempts: 1, blob: 'not-sent', startedAt, endedAt: clock.now(), ...more },
  })
  if (found.isProxied) return { outcome: ended('kept', { reason: WHY_PROXIED }), pushed: [] }

  async function bring(attempts: number): Promise<PushOutcome> {
    const judged = await judgeVersion(deps, found!, signal)
    const pushed = namesOf(version).map((target) => ({ path: version.path, target, digest: formOf(version) }))
    if (judged.kind === 'unchanged') return { outcome: ended('unchanged', { attempts }), pushed }
    if (judged.kind !== 'push') {
      return { outcome: ended(judged.kind, { conflict: true, reason: judged.reason, attempts }), pushed: [] }
    }
    const tags = version.tags.length === 0 ? [] : judged.names
    const whole = { packageName, digest: version.digest, tags, files: filesOf(found!) }
    const sent = await registry.push(whole, deps.options, signal)
    const blobs = { sent: sent.sentBlobs, failed: 0 }
    return { outcome: ended('written', { conflict: judged.conflict, blobs, attempts }), pushed }
  }

  for (let attempts = 1; ; attempts++) {
    try {
      return await bring(attempts)
    } catch (error) {
      signal.throwIfAborted()
      const refused = isRefusal(error)
      if (!refused && !(await isOfThisVersion(registry, error, signal))) throw error
      if (refused || attempts >= deps.attempts) {
        const reason = `${messageOf(error)} (${packageName}:${namesOf(version).join(', ')})`
        return { outcome: ended('failed', { reason, attempts }), pushed: [] }
      }
    }
    await clock.sleep(BETWEEN_ATTEMPTS_MS, signal)
  }
}

/** The registry, or what is stored here, says no: trying the others makes sense. */
const isRefusal = (error: unknown): boolean => error instanceof AppError && !error.retryable

/** It asks to be left alone. */
const BUSY: ReadonlySet<unknown> = new Set([429, 503])

/** What broke off may do so for this version alone: a proxy that takes no large bodies, a blob that the registry cannot store. */
async function isOfThisVersion(registry: ForeignRegistry, error: unknown, signal: AbortSignal): Promise<boolean> {
  if (!hasCode(error, 'UPSTREAM_FAILED') || BUSY.has(error.detail.status)) return false
  return registry.check(signal).then(
    () => true,
    () => {
      signal.throwIfAborted()
      return false
    },
  )
}
