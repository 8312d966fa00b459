import type { InjectOptions } from 'fastify'
import { pino } from 'pino'
import { ANONYMOUS } from '../../src/auth/principal.ts'
import type { Envelope } from '../../src/http/envelope.ts'
import { createServerMetrics } from '../../src/http/metrics.ts'
import { clusterRoutes } from '../../src/http/replication/cluster-routes.ts'
import { recordRoutes } from '../../src/http/replication/record-routes.ts'
import { taskRoutes } from '../../src/http/replication/task-routes.ts'
import type { App } from '../../src/http/route.ts'
import { createHttpServer } from '../../src/http/server.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { FAKE_ACCESS, NO_SAMPLES } from './edge.ts'
import { countingIds } from './ids.ts'
import { DATES, type ReplicationServices, replicationServices } from './replication-services.ts'

export interface ApiAnswer {
  readonly status: number
  readonly code: number
  readonly message: string | null
  // Tests look into answers of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: the assertions are the check
  readonly data: any
}

export interface ReplicationApi extends ReplicationServices, AsyncDisposable {
  readonly app: App
  /** As the administrator. Paths begin after `/replication/api`. */
  call(method: InjectOptions['method'], path: string, body?: unknown): Promise<ApiAnswer>
  /** As `user`; undefined: without credentials. `admin` is the administrator, all others are not. */
  callAs(user: string | undefined, method: InjectOptions['method'], path: string, body?: unknown): Promise<ApiAnswer>
}

/** Clusters, tasks and records behind the real edge, called without a socket. */
export async function replicationApi(db: MetadataDatabase): Promise<ReplicationApi> {
  const services = replicationServices(db)
  const app = await createHttpServer({
    routes: [
      clusterRoutes({ clusters: services.clusters, dates: DATES }),
      taskRoutes({ tasks: services.tasks, dates: DATES }),
      recordRoutes({ records: services.records, dates: DATES, clusterName: 'center' }),
    ],
    access: {
      authenticate: async (userId) => (userId === undefined ? ANONYMOUS : { userId, admin: userId === 'admin' }),
      rights: FAKE_ACCESS.rights,
    },
    document: { version: '0', publicUrl: undefined },
    metrics: createServerMetrics(NO_SAMPLES),
    timeZone: 'UTC',
    clock: services.clock,
    ids: countingIds(),
    logger: pino({ level: 'silent' }),
  })
  const callAs: ReplicationApi['callAs'] = async (user, method, path, body) => {
    const answer = await app.inject({
      method: method!,
      url: `/replication/api${path}`,
      headers: user === undefined ? {} : { authorization: user },
      ...(body === undefined ? {} : { payload: body as object }),
    })
    const { code, message, data } = answer.json<Envelope>()
    return { status: answer.statusCode, code, message, data }
  }
  return {
    ...services,
    app,
    callAs,
    call: (method, path, body) => callAs('admin', method, path, body),
    [Symbol.asyncDispose]: () => app.close(),
  }
}
