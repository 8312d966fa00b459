import type { Reader } from '../database.ts'

export interface RecordFailure {
  readonly linkId: number
  readonly linkKey: string
  /** Null: the link as a whole. */
  readonly path: string | null
}

/**
 * What failed in a closed record, of the links that the task still has: links that ended FAILED, and artifacts of the others. What the
 * task names and the source does not have waits in no ledger, so its link is looked at as a whole.
 */
export async function listRecordFailures(reader: Reader, recordId: string, limit: number): Promise<RecordFailure[]> {
  const links = await reader
    .selectFrom('exec_link')
    .innerJoin('link', 'link.id', 'exec_link.link_id')
    .select(['link.id as linkId', 'link.key as linkKey'])
    .where('exec_link.record_id', '=', recordId)
    .where('exec_link.state', '=', 'FAILED')
    .execute()
  const artifacts = await reader
    .selectFrom('record_detail')
    .innerJoin('link', 'link.id', 'record_detail.link_id')
    .leftJoin('link_divergence as ledger', (join) =>
      join.onRef('ledger.link_id', '=', 'record_detail.link_id').onRef('ledger.path', '=', 'record_detail.path'),
    )
    .select(['link.id as linkId', 'link.key as linkKey', 'record_detail.path', 'record_detail.sha256', 'ledger.reason'])
    .where('record_detail.record_id', '=', recordId)
    .where('record_detail.status', '=', 'FAILED')
    .orderBy('record_detail.path')
    .limit(limit)
    .execute()
  return [
    ...links.map((link) => ({ ...link, path: null })),
    ...artifacts.map(({ linkId, linkKey, path, sha256, reason }) => ({
      ...{ linkId, linkKey },
      path: sha256 === null && reason === null ? null : path,
    })),
  ]
}
