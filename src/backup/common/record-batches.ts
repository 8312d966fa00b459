import { AppError } from '../../core/errors.ts'
import { fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { RestoreRun } from '../restore/restore-run.ts'
import type { RestorePhase } from './common-file.ts'

/** What became of a batch. A record may be restored in part, and be among the failures for the rest. */
export interface BatchOutcome {
  readonly restored: number
  /** Kept as they are here. */
  readonly skipped: number
  readonly failures: readonly { readonly key: string; readonly error: AppError }[]
}

export interface BatchRules<Item> {
  /** As people know it, e.g. `user.json`. */
  readonly file: string
  /** Field that tells people which record is bad. */
  readonly nameField: string
  /** @throws AppError: the record is bad. Its words hold no value of the record that may be a secret. */
  read(fields: RequestFields): Item
  /** Tells records of the file apart; also shown to people. */
  keyOf(item: Item): string
  /** Of different keys. Nothing of it is told to the run before it is committed. */
  apply(items: readonly Item[]): Promise<BatchOutcome>
  /** Left out: bad records and counts are told. `told`: an earlier phase did, so that only what `apply` says is. */
  readonly bad?: 'told'
}

/** One transaction: a few milliseconds. */
const RECORDS_PER_BATCH = 200

/** Goes through the records of a file, judging each by itself, and applies the good ones in batches. */
export function inBatches<Item>(run: RestoreRun, rules: BatchRules<Item>): RestorePhase {
  const { file, read, keyOf, apply } = rules
  async function flush(items: Map<string, Item>): Promise<void> {
    if (items.size === 0) return
    const outcome = run.task.setting.dryRun
      ? { restored: items.size, skipped: 0, failures: [] }
      : await apply([...items.values()])
    items.clear()
    if (rules.bad === undefined) run.progress.add({ success: outcome.restored, skipped: outcome.skipped })
    for (const { key, error } of outcome.failures) run.fail(`${file}: ${key}`, error)
  }
  return async (records, signal) => {
    const batch = new Map<string, Item>()
    let count = 0
    for await (const record of records) {
      signal.throwIfAborted()
      count++
      let item: Item
      try {
        item = read(fieldsOf(record, 'the record'))
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        if (rules.bad === undefined) run.fail(`${file}: ${nameOf(record, rules.nameField) ?? `record ${count}`}`, error)
        continue
      }
      const key = keyOf(item)
      if (batch.has(key) || batch.size === RECORDS_PER_BATCH) await flush(batch)
      batch.set(key, item)
    }
    await flush(batch)
  }
}

/** Undefined: there is none that could be shown. */
function nameOf(record: unknown, field: string): string | undefined {
  const found = (Object(record) as Readonly<Record<string, unknown>>)[field]
  return typeof found === 'string' && /^[\w.@/ -]{1,128}$/.test(found) ? found : undefined
}

/** Counts of a batch as it is judged. */
export function createTally() {
  const failures: { key: string; error: AppError }[] = []
  const counts = { restored: 0, skipped: 0 }
  return {
    restored: () => void counts.restored++,
    skipped: () => void counts.skipped++,
    fail: (key: string, error: AppError) => void failures.push({ key, error }),
    outcome: (): BatchOutcome => ({ ...counts, failures }),
  }
}
