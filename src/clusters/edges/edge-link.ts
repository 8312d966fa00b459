import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { asCentreError, type CentreClient, type PulledTask } from './centre-client.ts'
import type { TunnelKeeper } from './tunnel-keeper.ts'

/** The side of the edge: tells its centre that it is there, asks for what waits, lends it connections (docs/design/edges.md). */
export interface EdgeLink {
  /** Until the signal. */
  run(signal: AbortSignal): Promise<void>
  /** Has the centre begin what waits for this edge now. @throws AppError TASK_NOT_FOUND, CLUSTER_CONNECT_ERROR. */
  pull(key: string | undefined, signal: AbortSignal): Promise<PulledTask[]>
  status(): EdgeStatus
}

export interface EdgeStatus {
  readonly centreUrl: string
  /** Of this cluster, at the centre. */
  readonly name: string
  /** When the centre last heard of us, UTC epoch milliseconds; null: not since the start. */
  readonly reportedAt: number | null
  readonly pulledAt: number | null
  /** Why the newest attempt of any kind failed; null: it did not. */
  readonly trouble: string | null
  readonly tunnels: { readonly open: number; readonly waiting: number }
}

export interface EdgeLinkDeps {
  readonly clock: Clock
  readonly client: CentreClient
  readonly keeper: TunnelKeeper
  readonly centreUrl: string
  readonly edgeName: string
  /** How this cluster greets others. */
  readonly self: { readonly clusterId: string; readonly name: string }
  readonly heartbeatMs: number
  readonly pollMs: number
  onTrouble(error: unknown): void
}

export interface Troubles {
  newest: string | null
}

/** @param troubles shared with whoever opens the tunnels. */
export function createEdgeLink(deps: EdgeLinkDeps, troubles: Troubles): EdgeLink {
  const { clock, client, keeper } = deps
  let reportedAt: number | null = null
  let pulledAt: number | null = null

  async function pull(key: string | undefined, signal: AbortSignal): Promise<PulledTask[]> {
    const tasks = await client.pull(key, signal)
    pulledAt = clock.now()
    return tasks
  }
  async function every(intervalMs: number, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await work()
        troubles.newest = null
      } catch (error) {
        if (signal.aborted) return
        troubles.newest = messageOf(error)
        deps.onTrouble(error)
      }
      await clock.sleep(intervalMs, signal).catch(() => {})
    }
  }

  return {
    async run(signal) {
      const beat = async () => {
        await client.heartbeat(deps.self, signal)
        reportedAt = clock.now()
      }
      const poll = async () => void (await pull(undefined, signal))
      await Promise.all([every(deps.heartbeatMs, beat, signal), every(deps.pollMs, poll, signal), keeper.run(signal)])
    },
    async pull(key, signal) {
      try {
        return await pull(key, signal)
      } catch (error) {
        signal.throwIfAborted()
        throw asCentreError(error)
      }
    },
    status: () => ({
      centreUrl: deps.centreUrl,
      name: deps.edgeName,
      ...{ reportedAt, pulledAt, trouble: troubles.newest },
      tunnels: { open: keeper.open, waiting: keeper.waiting },
    }),
  }
}
