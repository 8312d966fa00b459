import { join } from 'node:path'
import { openDatabase } from '../../src/metadata/open-database.ts'
import { createRepository } from '../../test/helpers/replication-calls.ts'
import type { ServerProcess } from '../../test/helpers/server-process.ts'
import { atMost, memoryGoal } from '../measurement.ts'
import { openPair } from '../pair.ts'
import { named, type Scenario, usedBy } from '../scenario.ts'
import { seedTree } from '../tree-seed.ts'

const REPO = 'bench/million'
const FILES = 1_000_000

/** Both hold the same rows, so that the first run has to find that out, and the second one has a cursor. No bytes are stored. */
export const unchangedMillion: Scenario = {
  name: 'unchanged-million',
  title: 'a run with nothing changed of 1,000,000 files, by its cursor',
  async run({ dir, scale }, signal) {
    const files = Math.ceil(FILES * scale)
    await using pair = await openPair({ name: 'million', dir, dialect: 'sqlite' }, signal)
    for (const [api, server] of [
      [pair.a, pair.serverA],
      [pair.b, pair.serverB],
    ] as const) {
      await createRepository(api, REPO, signal)
      await seed(server, files)
    }
    const first = await pair.replicate(REPO, 'unlisted')
    const run = await pair.replicate(REPO, 'unlisted')
    for (const { overview } of [first, run]) {
      if (overview.success !== 0 || overview.skip !== files)
        throw new Error(`not all was found equal: ${JSON.stringify(overview)}`)
    }
    const found = `found equal at first in ${first.recordMs} ms by ${first.targetRequests} requests`
    const goals = [atMost('ms', run.recordMs, 50), atMost('requests', run.targetRequests, 1)]
    const what = `${this.title}; ${found}`
    return {
      ...named(this),
      what,
      value: run.recordMs,
      unit: 'ms',
      goals: [...goals, memoryGoal([run.a, run.b])],
      ...usedBy(run),
    }
  },
}

async function seed({ dataDir }: ServerProcess, files: number): Promise<void> {
  await using db = await openDatabase({ dialect: 'sqlite', file: join(dataDir, 'entrepot.db') })
  await seedTree(db, REPO, files)
}
