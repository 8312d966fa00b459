import { Type } from 'typebox'
import type { LinkLag } from '../../metadata/replication/live-lag.ts'
import type { LiveLags } from '../../tasks/live-lags.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import type { Routes } from '../route.ts'

const Nullable = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Number>>(type: T) =>
  Type.Union([type, Type.Null()])
const STATES = 'NEW, BACKFILL, CATCHUP, LIVE, RETRY, PAUSED, STOPPED'

const LinkLagInfo = Type.Object({
  remoteCluster: Type.String({ description: 'Name' }),
  localProjectId: Type.String(),
  localRepoName: Type.String(),
  remoteProjectId: Type.String(),
  remoteRepoName: Type.String(),
  state: Type.String({ description: STATES }),
  stateSince: Type.String(),
  lagSeconds: Nullable(
    Type.Number({ description: 'Age of the oldest change that is not over there; null: what exists is not yet' }),
  ),
  changesBehind: Nullable(Type.Number({ description: 'Counted up to 100000; null as above' })),
  lastError: Nullable(Type.String()),
  attempts: Type.Number({ description: 'Failed ones in a row' }),
  nextAttemptTime: Nullable(Type.String()),
})

/** Ours: how far the links of a REAL_TIME task are behind. */
export const lagRoutes =
  ({ lags, dates }: { readonly lags: LiveLags; readonly dates: Dates }): Routes =>
  async (app) => {
    app.get(
      '/replication/api/task/lag/:key',
      {
        schema: {
          tags: ['replication tasks'],
          summary: 'How far the links of a REAL_TIME task are behind',
          params: Type.Object({ key: Type.String() }),
          response: answers(Type.Array(LinkLagInfo)),
        },
        config: { access: 'ADMIN' },
      },
      async ({ params }) => ok((await lags.list(params.key)).map((lag) => toLinkLag(lag, dates))),
    )
  }

function toLinkLag(lag: LinkLag, dates: Dates) {
  return {
    remoteCluster: lag.clusterName,
    localProjectId: lag.localProject,
    localRepoName: lag.localRepo,
    remoteProjectId: lag.remoteProject,
    remoteRepoName: lag.remoteRepo,
    state: lag.state,
    stateSince: dates.format(lag.since),
    lagSeconds: lag.lagMs === null ? null : lag.lagMs / 1000,
    changesBehind: lag.changesBehind,
    lastError: lag.lastError,
    attempts: lag.attempts,
    nextAttemptTime: dates.format(lag.nextAttemptAt),
  }
}
