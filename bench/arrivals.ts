import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from '../test/helpers/api.ts'

/** A server that is asked without a pause is busy with nothing else. */
const POLL_MS = 1

export interface ArrivalTimes {
  readonly p50: number
  readonly p99: number
  readonly longest: number
}
/** Sees files come to a server, by asking for the oldest one that is expected again and again. A file counts from `expect` until an answer says that it is there. */
export interface Arrivals {
  expect(path: string): void
  /** Resolves when all that was expected is there. */
  all(): Promise<void>
  end(): Promise<ArrivalTimes>
}

export function startArrivals(api: Api, repository: string): Arrivals {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const headers = { authorization: api.authorization }
  const waiting: { readonly path: string; readonly since: number }[] = []
  const times: number[] = []
  let ended = false
  let wake = () => {}
  const isThere = (path: string) =>
    new Promise<boolean>((resolve, reject) => {
      const url = `${api.url}/repository/api/node/detail/${repository}${path}`
      const asked = request(url, { agent, headers }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode === 200))
      })
      asked.on('error', reject).end()
    })
  async function watch(): Promise<void> {
    while (!ended) {
      const oldest = waiting[0]
      if (oldest === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      } else if (await isThere(oldest.path)) {
        times.push(Math.max(0, performance.now() - oldest.since))
        waiting.shift()
      } else await sleep(POLL_MS)
    }
  }
  const watching = watch()
  return {
    expect(path) {
      waiting.push({ path, since: performance.now() })
      wake()
    },
    async all() {
      while (waiting.length > 0) await sleep(POLL_MS)
    },
    async end() {
      ended = true
      wake()
      await watching
      agent.destroy()
      times.sort((a, b) => a - b)
      const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
      return { p50: at(0.5), p99: at(0.99), longest: at(1) }
    },
  }
}
