// `npm run bench`: what two real servers do on this machine, with the raw limit beside it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '../test/helpers/programs.ts'
import { type BenchArguments, benchArguments, helpFor } from './arguments.ts'
import { withComparedGoals } from './compared-goals.ts'
import type { Measurement } from './measurement.ts'
import { reportTable, writeReport } from './report.ts'
import { SCENARIOS } from './scenarios.ts'
import { openStage } from './stage.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort(new Error('Interrupted.')))

const wanted = parse()
if (wanted === undefined) console.log(helpFor(SCENARIOS))
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
    console.error(`${(error as Error).message}\n\n${helpFor(SCENARIOS)}`)
    process.exit(2)
  }
}

async function run({ only, scale, dialect }: BenchArguments, signal: AbortSignal): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-bench-'))
  const measurements: Measurement[] = []
  try {
    await using stage = await openStage({ dir, scale, dialect }, signal)
    for (const scenario of SCENARIOS.filter(({ name }) => only.length === 0 || only.includes(name))) {
      const missing = scenario.needs?.find((program) => findProgram(program) === undefined)
      if (missing !== undefined) {
        console.error(`${scenario.name}: left out, ${missing} is not installed on this machine`)
        continue
      }
      console.error(`${scenario.name}: ${scenario.title}${scale === 1 ? '' : `, scale ${scale}`} …`)
      measurements.push(...[await scenario.run(stage, signal)].flat())
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 3 })
  }
  const judged = withComparedGoals(measurements)
  console.log(`\n${reportTable(judged)}\n`)
  const results = fileURLToPath(new URL('./results', import.meta.url))
  console.log(`Everything that was measured: ${await writeReport(results, { scale, dialect }, judged)}`)
}
