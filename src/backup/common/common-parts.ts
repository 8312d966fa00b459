import type { Clock } from '../../core/clock.ts'
import type { Ids } from '../../core/ids.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import type { Timetable } from '../../tasks/schedule/timetable.ts'
import type { TaskPlacing } from '../../tasks/task-placing.ts'
import type { TaskStore } from '../../tasks/task-store.ts'
import type { WebhookSettings } from '../../tasks/webhooks/webhook-settings.ts'
import type { ParseTime } from './common-fields.ts'
import type { SecretCarrier } from './common-file.ts'

export interface CommonFilesDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
  readonly carrier: SecretCarrier
  readonly parseTime: ParseTime
  readonly placing: Pick<TaskPlacing, 'replace'>
  readonly taskStore: Pick<TaskStore, 'add'>
  readonly webhooks: Pick<WebhookSettings, 'judge'>
  /** When a cron expression fires; undefined: it is none. */
  readonly firings: Timetable['firings']
}

const ROWS_PER_PAGE = 500

/** Reads a table page by page; `page` gives the rows after a key, ascending by it. */
export async function* byKey<Row, Key>(
  page: (reader: Reader, after: Key, limit: number) => Promise<Row[]>,
  { reader, first, keyOf }: { readonly reader: Reader; readonly first: Key; readonly keyOf: (row: Row) => Key },
  signal: AbortSignal,
): AsyncGenerator<Row[]> {
  for (let after = first; ; ) {
    signal.throwIfAborted()
    const rows = await page(reader, after, ROWS_PER_PAGE)
    if (rows.length > 0) yield rows
    if (rows.length < ROWS_PER_PAGE) return
    after = keyOf(rows.at(-1)!)
  }
}
