import { join } from 'node:path'
import { openDatabase } from '../../src/metadata/open-database.ts'
import { measureFingerprints } from '../fingerprints.ts'
import { atMost, type Measurement } from '../measurement.ts'
import { canRun, type Dialect, databasesFor } from '../postgres.ts'
import { measureReconciliation } from '../reconciliation.ts'
import type { Scenario } from '../scenario.ts'
import { seedNodes } from '../search-seed.ts'

const FILES = 1_000_000
const LEAST_FILES = 10_000
const GOAL_FOLD_MICROS = 15

/** Both sides in this process, without HTTP between them. */
const reconciliation: Scenario = {
  name: 'reconciliation',
  title: 'finding where two repositories of 1,000,000 files differ, without a cursor',
  async run({ dir, scale }) {
    const files = Math.max(LEAST_FILES, Math.round(FILES * scale))
    const figures = await measureReconciliation(join(dir, 'reconciliation'), files, log)
    return figures.map(({ what, ms, cpuMs, bytes, trips, goals }): Measurement => {
      const told = `${what}: ${bytes} bytes, ${trips} trips, ${cpuMs.toFixed(0)} ms of processor time`
      return { scenario: this.name, what: told, value: ms, unit: 'ms', goals }
    })
  },
}

const fingerprints = (dialect: Dialect): Scenario => ({
  name: `fingerprints-${dialect}`,
  title: `sums over ranges of 1,000,000 files on ${dialect}`,
  async run({ dir, scale }) {
    await using stack = new AsyncDisposableStack()
    const [env = {}] = await databasesFor(dialect, 1, stack)
    const url = env.ENTREPOT_DATABASE
    const file = join(dir, 'fingerprints.db')
    const db = stack.use(
      await openDatabase(url === undefined ? { dialect: 'sqlite', file } : { dialect: 'postgres', url }),
    )
    await db.migrate()
    await seedNodes(db, Math.max(LEAST_FILES, Math.round(FILES * scale)), log)
    const figures = await measureFingerprints(db)
    const what = Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(1)}`)
    const value = figures.foldCpuMicros
    const goals = [atMost('µs for each change', value, GOAL_FOLD_MICROS)]
    return { scenario: this.name, what: what.join(', '), value, unit: 'µs', goals }
  },
})

const log = (line: string) => console.error(`  ${line}`)

export const DIFFERENCE_SCENARIOS: readonly Scenario[] = [
  reconciliation,
  ...(['sqlite', 'postgres'] as const).filter(canRun).map(fingerprints),
]
