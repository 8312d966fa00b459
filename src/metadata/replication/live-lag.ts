import type { Reader } from '../database.ts'
import type { LiveState } from '../tables/live-links.ts'

/** Of the links of a record that do not get through to their target: why. */
export async function listLiveErrors(reader: Reader, recordId: string): Promise<Map<number, string>> {
  const rows = await reader
    .selectFrom('live_link')
    .select(['link_id', 'last_error'])
    .where('record_id', '=', recordId)
    .where('last_error', 'is not', null)
    .execute()
  return new Map(rows.map(({ link_id, last_error }) => [link_id, last_error!]))
}

export interface LiveStanding {
  readonly state: LiveState
  /** UTC epoch ms. */
  readonly since: number
  readonly lastError: string | null
}

/** How the links that count in an open record stand, by link id. */
export async function listLiveStandings(reader: Reader, recordId: string): Promise<ReadonlyMap<number, LiveStanding>> {
  const rows = await reader
    .selectFrom('live_link')
    .select(['link_id as linkId', 'state', 'since', 'last_error as lastError'])
    .where('record_id', '=', recordId)
    .execute()
  return new Map(rows.map(({ linkId, ...standing }) => [linkId, standing]))
}

/** How a link of a REAL_TIME task stands. */
export interface LinkLag {
  readonly clusterName: string
  readonly localProject: string
  readonly localRepo: string
  readonly remoteProject: string
  readonly remoteRepo: string
  readonly state: LiveState
  /** UTC epoch ms. */
  readonly since: number
  /** Age of the oldest change that is not over there, in milliseconds; 0: nothing waits. Null: what exists is not brought over yet. */
  readonly lagMs: number | null
  /** Rows of the change log, at most 100,000 are counted. Null as above. */
  readonly changesBehind: number | null
  readonly lastError: string | null
  readonly attempts: number
  /** Of a link in state RETRY, UTC epoch ms. */
  readonly nextAttemptAt: number | null
}

const COUNTED_AT_MOST = 100_000

/** Links of a task, in the order in which they were made. */
export async function listLags(reader: Reader, taskKey: string, now: number): Promise<LinkLag[]> {
  const rows = await reader
    .selectFrom('live_link as live')
    .innerJoin('link', 'link.id', 'live.link_id')
    .leftJoin('cluster', 'cluster.id', 'link.cluster_id')
    .leftJoin('repository as repo', 'repo.id', 'link.repo_id')
    .where('live.task_key', '=', taskKey)
    .select((eb) => [
      'link.repo_id as repoId',
      'link.acked_seq as acked',
      eb.fn.coalesce('cluster.name', 'link.cluster_id').as('clusterName'),
      eb.fn.coalesce('repo.project', eb.val('')).as('localProject'),
      eb.fn.coalesce('repo.name', eb.val('')).as('localRepo'),
      'link.remote_project as remoteProject',
      'link.remote_repo as remoteRepo',
      'live.state',
      'live.since',
      'live.last_error as lastError',
      'live.attempts',
      'live.next_attempt_at as nextAttempt',
    ])
    .orderBy('live.link_id')
    .execute()
  const lags: LinkLag[] = []
  for (const { repoId, acked, nextAttempt, ...row } of rows) {
    const behind = acked === null ? { lagMs: null, changesBehind: null } : await behindOf(reader, repoId, acked, now)
    lags.push({ ...row, ...behind, nextAttemptAt: row.state === 'RETRY' ? nextAttempt : null })
  }
  return lags
}

async function behindOf(reader: Reader, repoId: number, acked: number, now: number) {
  const row = await reader
    .selectFrom((eb) =>
      eb
        .selectFrom('change_log')
        .where('repo_id', '=', repoId)
        .where('seq', '>', acked)
        .select('at')
        .orderBy('seq')
        .limit(COUNTED_AT_MOST)
        .as('behind'),
    )
    .select((eb) => [eb.fn.countAll<number>().as('changes'), eb.fn.min<number | null>('at').as('oldest')])
    .executeTakeFirstOrThrow()
  const lagMs = row.oldest === null ? 0 : Math.max(0, now - row.oldest)
  return { lagMs, changesBehind: Number(row.changes) }
}

/** Links in each state. */
export async function countLiveStates(reader: Reader): Promise<ReadonlyMap<LiveState, number>> {
  const rows = await reader
    .selectFrom('live_link')
    .select((eb) => ['state', eb.fn.countAll<number>().as('links')])
    .groupBy('state')
    .execute()
  return new Map(rows.map(({ state, links }) => [state, Number(links)]))
}
