/** Links that follow changes as they come (docs/design/real-time.md). */
export interface LiveLinkTables {
  live_link: LiveLinkTable
}

/** One link of a REAL_TIME task. How far it got is the cursor of `link`. */
interface LiveLinkTable {
  link_id: number
  task_key: string
  /** The open record that its artifacts count in. */
  record_id: string
  state: LiveState
  /** Since when it is in this state. */
  since: number
  /** Names what it delivers towards the target, over all records: 48 bits. */
  run: number
  /** `installationId:bootId`; null: nobody follows it. */
  owner: string | null
  lease_until: number
  /** Grows with every owner, and when the link is paused: the fence of the stream `live` at the target. */
  token: number
  /** Failed attempts in a row. */
  attempts: number
  next_attempt_at: number
  last_error: string | null
  /** Where a link that does not bring over what exists began to follow; null: it brings over everything. */
  from_seq: number | null
}
export type LiveState = 'NEW' | 'BACKFILL' | 'CATCHUP' | 'LIVE' | 'RETRY' | 'PAUSED' | 'STOPPED'
