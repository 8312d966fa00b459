import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Api } from '../test/helpers/api.ts'

/** Of the requests of one probe, in milliseconds. */
export interface ProbeTimes {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly longest: number
  readonly failures: readonly string[]
}

/** @param path asked for over and over, e.g. a node's details. */
export function startProbe(api: Api, path: string): { end(): Promise<ProbeTimes> } {
  const program = fileURLToPath(new URL('./read-probe.ts', import.meta.url))
  const child = spawn(process.execPath, [program, `${api.url}${path}`, api.authorization], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const printed = text(child.stdout)
  return {
    async end() {
      child.stdin.end()
      const times = JSON.parse(await printed) as ProbeTimes
      if (times.failures.length > 0) throw new Error(`${api.url}${path}: ${times.failures[0]}`)
      return times
    },
  }
}

export const shownTimes = ({ count, p50, p99, longest }: ProbeTimes): string =>
  `${count} reads, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)}, longest ${longest.toFixed(0)}`
