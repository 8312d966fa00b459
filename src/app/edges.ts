import { createCentreClient } from '../clusters/edges/centre-client.ts'
import { createEdgeLink, type EdgeLink } from '../clusters/edges/edge-link.ts'
import { createEdgeRegistry, TUNNELS_TOLD_MS } from '../clusters/edges/edge-registry.ts'
import { createTunnelKeeper } from '../clusters/edges/tunnel-keeper.ts'
import { AppError, messageOf } from '../core/errors.ts'
import type { App } from '../http/route.ts'
import { createTunnelDoor, createTunnelServer, type TunnelServer } from '../http/tunnel-server.ts'
import { createWakeUp } from '../jobs/wake-up.ts'
import { hasTunnelElsewhere } from '../metadata/replication/edge-reports.ts'
import { createTunnelHub } from '../remotes/tunnel/tunnel-hub.ts'
import { TUNNEL_LIMITS } from '../remotes/tunnel/tunnel-pool.ts'
import type { Ground } from './ground.ts'

/** Both sides of edges: those that come to this server, and its own centre, if it is an edge (docs/design/edges.md). */
export type Edges = ReturnType<typeof createEdges>

const TELL_MS = TUNNELS_TOLD_MS / 3
const MOST_TUNNELS = 64
const RETRY_DELAYS_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000]

/** @throws AppError PARAMETER_INVALID for a centre without user or password. */
export function createEdges(ground: Ground) {
  const { db, clock, random, config, owner } = ground
  const { edgeSilenceMs: silenceMs } = config.replication
  const isElsewhere = (clusterId: string) =>
    hasTunnelElsewhere(db.read, clusterId, { owner, since: clock.now() - TUNNELS_TOLD_MS })
  const wakeUp = createWakeUp(clock)
  const hub = createTunnelHub({ clock, limits: TUNNEL_LIMITS, isElsewhere, onArrival: wakeUp.ring })
  const registry = createEdgeRegistry({ db, clock, owner, silenceMs })
  const door = createTunnelDoor(random)
  let server: TunnelServer | undefined
  const link = createOwnLink(ground, (socket, onUse) => server?.serve(socket, onUse))

  async function tellTunnels(signal: AbortSignal): Promise<void> {
    const tell = (here: readonly string[]) =>
      registry
        .tellTunnels(here)
        .catch((err: unknown) => ground.warn('connections of edges were not written down', { err }))
    while (!signal.aborted) {
      await tell(hub.here())
      if (!signal.aborted) await wakeUp.wait(TELL_MS)
    }
    await tell([])
  }

  return {
    ...{ hub, registry, door, link },
    ways: { way: hub.way, silenceMs },
    /** Begins. `leave` takes no new work; `end` waits for the requests of the centre, but not beyond its signal. */
    start(app: App) {
      const serving = createTunnelServer(app, door)
      server = serving
      const stop = new AbortController()
      const running = Promise.all([tellTunnels(stop.signal), link?.run(stop.signal)])
      return {
        leave() {
          stop.abort()
          wakeUp.ring()
          hub.close()
        },
        async end(late: AbortSignal): Promise<void> {
          hub[Symbol.dispose]()
          await serving.close(late)
          await running
        },
      }
    },
  }
}

function createOwnLink(
  { clock, random, config, clusterId, warn }: Ground,
  serve: Parameters<typeof createTunnelKeeper>[0]['serve'],
): EdgeLink | undefined {
  const { centreUrl, user, password, certificate, tunnels, heartbeatMs, pollMs } = config.edge
  if (centreUrl === undefined) return undefined
  if (user === undefined || password === undefined) {
    throw new AppError('PARAMETER_INVALID', 'edge.centreUrl needs edge.user and edge.password: a user of the centre')
  }
  const edgeName = config.edge.name ?? config.cluster.name
  const client = createCentreClient({ url: centreUrl, username: user, password, certificate }, edgeName, clock)
  const troubles = { newest: null as string | null }
  let told: string | undefined
  /** The same trouble, every half minute, is told once. */
  const onTrouble = (err: unknown) => {
    troubles.newest = messageOf(err)
    if (told !== troubles.newest) warn('the centre of this edge does not answer as it should', { err, centreUrl })
    told = troubles.newest
  }
  const keeper = createTunnelKeeper({
    ...{ clock, random, idle: tunnels, most: MOST_TUNNELS, retryDelaysMs: RETRY_DELAYS_MS, serve, onTrouble },
    open: (signal) => client.openTunnel(signal),
  })
  const self = { clusterId, name: config.cluster.name }
  return createEdgeLink(
    { ...{ clock, client, keeper, centreUrl, edgeName, self, heartbeatMs, pollMs, onTrouble } },
    troubles,
  )
}
