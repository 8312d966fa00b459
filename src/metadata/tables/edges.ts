/** Clusters that come to us (docs/design/edges.md), and who is told of the end of runs (docs/webhooks.md). */
export interface EdgeTables {
  edge_report: EdgeReportTable
  edge_tunnel: EdgeTunnelTable
  edge_pull: EdgePullTable
  webhook_delivery: WebhookDeliveryTable
}

/** The newest sign of life of a cluster that reports. */
interface EdgeReportTable {
  cluster_id: string
  /** Who it says to be: the identity that it gave itself on its first start. */
  identity: string
  /** What it calls itself. */
  name: string
  at: number
}

/** Processes of this cluster that hold connections of an edge. */
interface EdgeTunnelTable {
  cluster_id: string
  /** `installationId:bootId`. */
  owner: string
  at: number
}

/** Pulls of a task by an edge that failed since the last one that did not. */
interface EdgePullTable {
  task_key: string
  cluster_id: string
  failures: number
}

/** One run's end that a webhook is told. */
interface WebhookDeliveryTable {
  record_id: string
  task_key: string
  /** PENDING, DELIVERED, FAILED or DROPPED. */
  state: string
  /** Of the last attempt; null: it was answered well, or there was none. */
  error: string | null
  attempts: number
  /** HTTP status of the last answer. */
  status: number | null
  created_at: number
  attempted_at: number | null
  /** Of the next attempt; null: there will be none. */
  due_at: number | null
}
