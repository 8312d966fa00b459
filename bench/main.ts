// `npm run bench`: what two real servers do on this machine, with the raw limit beside it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BenchArguments, benchArguments, HELP } from './arguments.ts'
import type { Measurement } from './measurement.ts'
import { reportTable, writeReport } from './report.ts'
import { SCENARIOS, withReplicationGoal } from './scenarios.ts'
import { openStage } from './stage.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort(new Error('Interrupted.')))

const wanted = parse()
if (wanted === undefined) console.log(HELP)
else {
  try {
    await run(wanted, stop.signal)
  } catch (error) {
    console.error(`\nThe benchmark failed: ${(error as Error).message}`)
    process.exitCode = 1
  }
}

function parse(): BenchArguments | undefined {
  try {
    return benchArguments(
      process.argv.slice(2),
      SCENARIOS.map(({ name }) => name),
    )
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`)
    process.exit(2)
  }
}

async function run({ only, scale }: BenchArguments, signal: AbortSignal): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-bench-'))
  const measurements: Measurement[] = []
  try {
    await using stage = await openStage(dir, scale, signal)
    for (const scenario of SCENARIOS.filter(({ name }) => only.length === 0 || only.includes(name))) {
      console.error(`${scenario.name}: ${scenario.title}${scale === 1 ? '' : `, scale ${scale}`} …`)
      measurements.push(await scenario.run(stage, signal))
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 3 })
  }
  const judged = withReplicationGoal(measurements)
  console.log(`\n${reportTable(judged)}\n`)
  const results = fileURLToPath(new URL('./results', import.meta.url))
  console.log(`Everything that was measured: ${await writeReport(results, scale, judged)}`)
}
