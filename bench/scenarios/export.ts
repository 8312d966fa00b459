import type { RecordInfo } from '../../src/cli/run-progress.ts'
import { createRepository, listRecords } from '../../test/helpers/replication-calls.ts'
import { smallFiles } from '../content.ts'
import { openPair, putAll } from '../pair.ts'
import { watchUsage } from '../process-usage.ts'
import { MIB, named, perSecond, type Scenario } from '../scenario.ts'

const REPO = 'bench/details'
const DETAILS = 100_000
const MOST_GROWTH_MIB = 96

async function linesOf(url: string, authorization: string, signal: AbortSignal): Promise<number> {
  const answer = await fetch(url, { headers: { authorization }, signal })
  if (!answer.ok || answer.body === null) throw new Error(`${url} answered ${answer.status}`)
  let lines = 0
  for await (const chunk of answer.body) for (const byte of chunk) if (byte === 10) lines++
  return lines
}

export const detailExport: Scenario = {
  name: 'export-details',
  title: 'details of a record as NDJSON, then as CSV',
  async run({ dir, dialect, scale }, signal) {
    const count = Math.ceil(DETAILS * scale)
    const files = smallFiles(count, 16, 61)
    await using pair = await openPair({ name: 'export-details', dir, dialect }, signal)
    await createRepository(pair.a, REPO, signal)
    await putAll(pair.a, REPO, files, signal)
    await pair.replicate(REPO, 'unlisted')
    const key = (
      await pair.a.call<{ records: { key: string }[] }>('GET', '/replication/api/task/page/bench', undefined, signal)
    ).records[0]!.key
    const [record] = (await listRecords(pair.a, key, signal)) as readonly [RecordInfo]
    const resting = watchUsage([pair.serverA.pid]).end()[0]!.peakRssBytes
    const watch = watchUsage([pair.serverA.pid])
    const from = performance.now()
    for (const format of ['ndjson', 'csv']) {
      const url = `${pair.a.url}/replication/api/task/record/detail/export/${record.id}?format=${format}`
      const lines = await linesOf(url, pair.a.authorization, signal)
      const expected = format === 'csv' ? count + 1 : count
      if (lines !== expected) throw new Error(`${format} has ${lines} lines, not ${expected}`)
    }
    const value = perSecond(2 * count, performance.now() - from)
    const growth = (watch.end()[0]!.peakRssBytes - resting) / MIB
    const goals = [
      { text: `memory grows by ≤ ${MOST_GROWTH_MIB} MiB (${growth.toFixed(0)})`, met: growth <= MOST_GROWTH_MIB },
    ]
    return { ...named(this), value, unit: 'rows/s', goals }
  },
}
