import { createHmac } from 'node:crypto'
import type { ExecutionRecord } from '../record.ts'
import type { ReplicationTask } from '../task.ts'

/** Of every message; others may come, receivers ignore what they do not know. */
export const RUN_ENDED = 'replication.record.ended'

interface MessageParts {
  /** As the run used it. */
  readonly task: Pick<ReplicationTask, 'key' | 'name' | 'project' | 'replicaType' | 'targets'>
  readonly record: ExecutionRecord
  /** As dates are written everywhere in the API. */
  formatTime(at: number | null): string | null
}

/** The body that a webhook gets: the same bytes at each attempt. */
export function webhookBody({ task, record, formatTime }: MessageParts): Buffer {
  const { id, status, startedAt, endedAt, replicatedBytes, totalBytes, overview, errorReason } = record
  const message = {
    event: RUN_ENDED,
    deliveryId: id,
    task: {
      ...{ key: task.key, name: task.name, projectId: task.project, replicaType: task.replicaType },
      remoteClusters: task.targets.map((target) => ({ id: target.id, name: target.name })),
    },
    record: {
      ...{ id, taskKey: task.key, status, startTime: formatTime(startedAt), endTime: formatTime(endedAt) },
      ...{ replicatedBytes, totalBytes },
    },
    overview,
    errorReason,
  }
  return Buffer.from(JSON.stringify(message))
}

/** What tells a receiver that it comes from us, which one it is, and when it was sent: replayed later, it is old. */
export function webhookHeaders(
  deliveryId: string,
  body: Buffer,
  { secret, now }: { readonly secret: string | undefined; readonly now: number },
): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000))
  const headers = {
    'user-agent': 'entrepot-webhook',
    'x-entrepot-event': RUN_ENDED,
    'x-entrepot-delivery': deliveryId,
    'x-entrepot-timestamp': timestamp,
  }
  return secret === undefined ? headers : { ...headers, 'x-entrepot-signature': signatureOf(secret, timestamp, body) }
}

/** `sha256=<hex>` of the HMAC over `<timestamp>.<body>`. */
export function signatureOf(secret: string, timestamp: string, body: Buffer): string {
  return `sha256=${createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')}`
}
