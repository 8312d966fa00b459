import { hash } from 'node:crypto'
import type { ClusterTarget } from '../../clusters/cluster.ts'
import type { Clock } from '../../core/clock.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import { accessState } from '../../metadata/access/copied-access.ts'
import { listPermissionLinks, type PermissionLink } from '../../metadata/replication/dynamic-tasks.ts'
import { findExecLink } from '../../metadata/replication/exec-links.ts'
import { createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { describeLink } from '../planning/link-plan.ts'
import type { ScopeSource } from '../planning/link-scope.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { AccessSender } from './send-access.ts'

/** Keeps users, roles and permissions at the targets of REAL_TIME tasks as they are here. */
export interface AccessWatch {
  run(signal: AbortSignal): Promise<void>
}

interface AccessWatchDeps extends ScopeSource {
  readonly clock: Clock
  readonly access: AccessSender
  loadSpec(recordId: string): Promise<RunSpec | undefined>
  getTarget(clusterId: string): Promise<ClusterTarget>
  onError(error: unknown, about: { readonly linkId?: number }): void
}

/** Between two looks, of two short queries. */
const LOOK_MS = 1_000
const RETRY_MS = 30_000
const SENDS_AT_ONCE = 4

/** What this process sent last over a link. Forgotten with the process: then it is sent once more, and changes nothing. */
interface Sent {
  /** Of all rights, when the digest was right. */
  readonly state: string | undefined
  readonly digest: string | undefined
  /** After a failure. */
  readonly notBefore: number
}

/** Each time anybody's rights change, every link compares a digest of what it would send with that of what it sent. */
export function createAccessWatch(deps: AccessWatchDeps): AccessWatch {
  const { db, manifests, clock, access, loadSpec, getTarget, onError } = deps
  const sent = new Map<number, Sent>()

  async function sendOver({ linkId, recordId }: PermissionLink, state: string, signal: AbortSignal): Promise<void> {
    const spec = await loadSpec(recordId)
    const execLink = await findExecLink(db.read, recordId, linkId)
    if (spec?.includesPermissions === undefined || execLink === undefined) return
    const work = await describeLink({ db, manifests }, spec, execLink)
    const collected = await access.collect(work)
    const digest = hash('sha256', JSON.stringify(collected), 'hex')
    if (sent.get(linkId)?.digest !== digest) {
      using client = createClusterClient(await getTarget(execLink.cluster_id), clock)
      await access.put(work, collected, client, signal)
    }
    sent.set(linkId, { state, digest, notBefore: 0 })
  }

  async function look(signal: AbortSignal): Promise<void> {
    const links = await listPermissionLinks(db.read)
    const followed = new Set(links.map(({ linkId }) => linkId))
    for (const linkId of sent.keys()) if (!followed.has(linkId)) sent.delete(linkId)
    if (links.length === 0) return
    const state = await accessState(db.read)
    const isDue = ({ linkId }: PermissionLink) => {
      const before = sent.get(linkId)
      return before === undefined || (before.state !== state && before.notBefore <= clock.now())
    }
    const send = async (link: PermissionLink, stop: AbortSignal) => {
      const { linkId } = link
      try {
        await sendOver(link, state, stop)
      } catch (error) {
        if (stop.aborted) return
        onError(error, { linkId })
        sent.set(linkId, { state: undefined, digest: undefined, notBefore: clock.now() + RETRY_MS })
      }
    }
    await mapConcurrent(links.filter(isDue), SENDS_AT_ONCE, send, signal)
  }

  return {
    async run(signal) {
      while (!signal.aborted) {
        try {
          await look(signal)
        } catch (error) {
          if (!signal.aborted) onError(error, {})
        }
        await clock.sleep(LOOK_MS, signal).catch(() => {})
      }
    },
  }
}
