// `npm run soak`: real-time, cron and manual tasks side by side while either server is killed again and again.
import { parseArgs } from 'node:util'
import { soakRealTime } from '../test/helpers/real-time-soak.ts'

const HELP = `Uploads and replicates while servers are killed, and proves that both sides end equal.

  npm run soak                          20,000 small files, two of 500 MB, 100 kills
  npm run soak -- --seed 7              the same chances again
  npm run soak -- --minutes 30          round after round, each with the next seed
  npm run soak -- --scale 0.1           a tenth of the files, bytes and kills
  npm run soak -- --faults 0.2          one of five requests meets a fault of the line: cut, late, flipped, refused

On SQLite; ENTREPOT_SOAK_POSTGRES_A and _B name two empty PostgreSQL databases to take instead.`

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '0' },
    scale: { type: 'string', default: '1' },
    faults: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
const numbers = {
  seed: Number(values.seed),
  minutes: Number(values.minutes),
  scale: Number(values.scale),
  faults: Number(values.faults),
}
for (const [name, value] of Object.entries(numbers)) {
  if (Number.isFinite(value) && value >= 0) continue
  console.error(`--${name} must be a number, not ${values[name as keyof typeof numbers]}`)
  process.exit(2)
}

const { ENTREPOT_SOAK_POSTGRES_A: a, ENTREPOT_SOAK_POSTGRES_B: b } = process.env
const env: Record<'a' | 'b', Record<string, string>> = a === undefined || b === undefined
  ? { a: {}, b: {} }
  : { a: { ENTREPOT_DATABASE: a }, b: { ENTREPOT_DATABASE: b } }
const { scale, faults } = numbers
const size = {
  smallFiles: Math.round(20_000 * scale),
  largeFiles: 2,
  largeBytes: Math.round(500_000_000 * scale),
  kills: Math.round(100 * scale),
  faults,
}
const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('interrupted')))
const until = performance.now() + numbers.minutes * 60_000
for (let { seed } = numbers, round = 1; round === 1 || performance.now() < until; round++, seed++) {
  console.log(`round ${round}, seed ${seed}`)
  await soakRealTime({ ...size, seed, env, log: (line) => console.log(`  ${line}`) }, stop.signal)
}
console.log('nothing lost, nothing doubled')
