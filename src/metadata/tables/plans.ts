/** Tables of plans before a run and of proofs of equality. */
export interface PlanTables {
  plan: PlanTable
  plan_item: PlanItemTable
}

/** What was found out about a task without changing anything; kept for a while, so that its pages fit each other. */
interface PlanTable {
  id: string
  kind: 'plan' | 'verify'
  /** Null: of a task that is not stored. */
  task_key: string | null
  created_at: number
  expires_at: number
  /** JSON of what was found, but for the paths. Null: it is being found out, or whoever did died. */
  summary: string | null
  /** JSON of how far it got, for whoever waits; null: it does not say. */
  progress: string | null
}

interface PlanItemTable {
  plan_id: string
  /** In the order in which they were found. */
  item_no: number
  class: string
  /** Place of its link in the summary. */
  link_no: number
  path: string
  size: number | null
  /** Other content is replaced, or kept. */
  conflict: number
  reason: string | null
}
