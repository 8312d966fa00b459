// Asks one server for one small answer again and again, at a fixed pace, in a process of its own: the bench's load is not in its times.
// Run as `node bench/read-probe.ts URL AUTHORIZATION`; when its standard input ends it prints what it measured and is done.
import { Agent, request } from 'node:http'
import type { ProbeTimes } from './probe.ts'

const [url = '', authorization = ''] = process.argv.slice(2)
const EVERY_MS = 10
const CONNECTIONS = 4

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const times: number[] = []
const failures: string[] = []
let open = 0

/** From the moment at which it was due: a request that waits for its turn waits for the server. */
function ask(due: number): void {
  open++
  const done = (failure?: string) => {
    open--
    if (failure === undefined) times.push(performance.now() - due)
    else failures.push(failure)
    if (ended && open === 0) report()
  }
  const outgoing = request(url, { agent, headers: { authorization } }, (answer) => {
    answer.resume()
    answer.on('end', () => done(answer.statusCode === 200 ? undefined : `answered ${answer.statusCode}`))
    answer.on('error', (error) => done(error.message))
  })
  outgoing.on('error', (error) => done(error.message))
  outgoing.end()
}

let next = performance.now()
let ended = false
const timer = setInterval(() => {
  // After a pause of our own the requests that were due meanwhile are not made up for: we were late, not the server.
  const now = performance.now()
  if (now - next > EVERY_MS) next = now
  ask(next)
  next += EVERY_MS
}, EVERY_MS)

process.stdin.resume().on('end', () => {
  clearInterval(timer)
  ended = true
  if (open === 0) report()
})

function report(): void {
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  const measured: ProbeTimes = { count: times.length, p50: at(0.5), p99: at(0.99), longest: at(1), failures }
  process.stdout.write(JSON.stringify(measured), () => process.exit(0))
}
