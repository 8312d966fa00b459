import type { Reader } from '../database.ts'

/** How far one link of a record got. */
export interface LinkProgress {
  /** Of the source; empty when the repository is gone. */
  readonly project: string
  readonly state: 'running' | 'done' | 'failed'
  /** Planned so far. */
  readonly artifacts: number
}

/** By record id. Two statements, however many records. */
export async function linkProgress(
  reader: Reader,
  recordIds: readonly string[],
): Promise<ReadonlyMap<string, LinkProgress[]>> {
  if (recordIds.length === 0) return new Map()
  const links = await reader
    .selectFrom('exec_link')
    .leftJoin('link', 'link.id', 'exec_link.link_id')
    .leftJoin('repository', 'repository.id', 'link.repo_id')
    .select(['exec_link.record_id', 'exec_link.link_id', 'exec_link.state', 'repository.project'])
    .where('exec_link.record_id', 'in', recordIds)
    .orderBy('exec_link.link_id')
    .execute()
  const sums = await reader
    .selectFrom('exec_shard')
    .select(({ fn }) => [
      'record_id',
      'link_id',
      fn.sum<number>('est_files').as('artifacts'),
      fn.sum<number>('failed').as('failed'),
    ])
    .where('record_id', 'in', recordIds)
    .groupBy(['record_id', 'link_id'])
    .execute()
  const sumOf = new Map(sums.map((row) => [`${row.record_id}/${row.link_id}`, row]))
  const progress = links.map(({ record_id, link_id, state, project }) => {
    const { artifacts = 0, failed = 0 } = sumOf.get(`${record_id}/${link_id}`) ?? {}
    const ended = state === 'DONE' || state === 'FAILED'
    const outcome = state === 'FAILED' || failed > 0 ? ('failed' as const) : ('done' as const)
    return { recordId: record_id, project: project ?? '', state: ended ? outcome : ('running' as const), artifacts }
  })
  const byRecord = Map.groupBy(progress, ({ recordId }) => recordId)
  return new Map([...byRecord].map(([id, all]) => [id, all.map(({ recordId: _id, ...link }) => link)]))
}
