import type { Kysely } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Edges tell when they are there and pull what waits for them, of one centre; the end of a run is told to others. */
export async function createEdgesSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, key } = tableWords(db, dialect)
  const report = columns(columns(create('edge_report'), text, 'cluster_id identity name'), int, 'at')
  await key(report, 'edge_report', 'cluster_id').execute()
  const tunnel = columns(columns(create('edge_tunnel'), text, 'cluster_id owner'), int, 'at')
  await key(tunnel, 'edge_tunnel', 'cluster_id', 'owner').execute()
  const pull = columns(columns(create('edge_pull'), text, 'task_key cluster_id'), int, 'failures')
  await key(pull, 'edge_pull', 'task_key', 'cluster_id').execute()

  // At most one.
  await db.schema
    .createIndex('cluster_center')
    .unique()
    .on('cluster')
    .column('type')
    .where('type', '=', 'CENTER')
    .execute()

  const words = columns(create('webhook_delivery'), text, 'record_id task_key state error?')
  const delivery = columns(words, int, 'attempts status? created_at attempted_at? due_at?')
  await key(delivery, 'webhook_delivery', 'record_id').execute()
  await db.schema
    .createIndex('webhook_delivery_task')
    .on('webhook_delivery')
    .columns(['task_key', 'created_at'])
    .execute()
}
