import { Writable } from 'node:stream'
import { pino } from 'pino'
import { NO_GRANTS } from '../../src/auth/grants.ts'
import { ANONYMOUS } from '../../src/auth/principal.ts'
import { AppError } from '../../src/core/errors.ts'
import type { AccessDeps } from '../../src/http/access-control.ts'
import { logOptions } from '../../src/http/log-options.ts'
import { createServerMetrics, type Samplers, type ServerMetrics } from '../../src/http/metrics.ts'
import type { App, Routes } from '../../src/http/route.ts'
import { createHttpServer, type HttpServerDeps } from '../../src/http/server.ts'
import { manualClock } from './clock.ts'
import { countingIds } from './ids.ts'

export interface Edge extends AsyncDisposable {
  readonly app: App
  readonly metrics: ServerMetrics
  /** What was logged, parsed. */
  readonly log: Record<string, unknown>[]
  /** Listens on a free loopback port. */
  listen(): Promise<number>
}

/** `admin:admin`, `ann:ann`; repository `p/open` is public, `p/closed` is not. */
export const FAKE_ACCESS: AccessDeps = {
  async authenticate(authorization) {
    if (authorization === undefined) return ANONYMOUS
    const [user] = Buffer.from(authorization.replace(/^Basic /, ''), 'base64')
      .toString()
      .split(':')
    if (user !== 'admin' && user !== 'ann')
      throw new AppError('UNAUTHENTICATED', 'Failed to authenticate: wrong user or password')
    return { userId: user, admin: user === 'admin' }
  },
  rights: {
    grantsOf: async () => NO_GRANTS,
    async repositoryFacts(_principal, projectId, repoName) {
      const known = projectId === 'p' && ['open', 'closed'].includes(repoName)
      return { repository: known ? { id: 1, public: repoName === 'open' } : undefined, grants: NO_GRANTS }
    },
  },
}
export const AS_ADMIN = { authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}` }
export const AS_ANN = { authorization: `Basic ${Buffer.from('ann:ann').toString('base64')}` }

/** For servers of whose metrics nobody asks. */
export const NO_SAMPLES: Samplers = {
  queueDepth: async () => 0,
  liveLinks: async () => new Map(),
  replicationLagMs: async () => new Map(),
  wantingBlobs: async () => ({}),
  segments: async () => ({ segments: 0, bytes: 0, deadBytes: 0 }),
  backups: async () => [],
}

/** The HTTP edge with these routes and nothing behind it. */
export async function edge(
  routes: (metrics: ServerMetrics) => readonly Routes[],
  deps: Partial<Pick<HttpServerDeps, 'access' | 'timeZone'>> & { readonly samplers?: Samplers } = {},
): Promise<Edge> {
  const metrics = createServerMetrics(deps.samplers ?? NO_SAMPLES)
  const log: Record<string, unknown>[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log.push(JSON.parse(chunk.toString()) as Record<string, unknown>)
      done()
    },
  })
  const app = await createHttpServer({
    routes: routes(metrics),
    access: deps.access ?? FAKE_ACCESS,
    document: { version: '0.0.0', publicUrl: undefined },
    metrics,
    timeZone: deps.timeZone ?? 'UTC',
    clock: manualClock(),
    ids: countingIds(),
    logger: pino({ ...logOptions('debug') }, sink),
  })
  return {
    app,
    metrics,
    log,
    async listen() {
      await app.listen({ host: '127.0.0.1', port: 0 })
      const address = app.server.address()
      return typeof address === 'object' && address !== null ? address.port : 0
    },
    async [Symbol.asyncDispose]() {
      app.server.closeAllConnections()
      await app.close()
    },
  }
}
