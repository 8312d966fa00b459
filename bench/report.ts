import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { table } from '../demo/table.ts'
import type { Measurement } from './measurement.ts'
import type { Dialect } from './postgres.ts'
import type { Usage } from './process-usage.ts'

/** One row for each measurement: number, raw number and ratio beside it, memory, processor time, goals. */
export function reportTable(measurements: readonly Measurement[]): string {
  const head = ['scenario', 'result', 'raw', 'ratio', 'requests', 'RSS A/B MB', 'CPU A/B s', 'goals']
  const rows = measurements.map((measurement) => {
    const { scenario, value, unit, raw, targetRequests, goals, a, b } = measurement
    return [
      scenario,
      `${rounded(value)} ${unit}`,
      raw === undefined ? '' : rounded(raw),
      raw === undefined ? '' : (value / raw).toFixed(2),
      targetRequests === undefined ? '' : String(targetRequests),
      pair(a, b, ({ peakRssBytes }) => (peakRssBytes / 1e6).toFixed(0)),
      pair(a, b, ({ cpuSeconds }) => cpuSeconds.toFixed(1)),
      goals.map(({ text, met }) => `${met ? 'met' : 'MISSED'}: ${text}`).join('; '),
    ]
  })
  return table(head, rows, 120)
}

const rounded = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))

function pair(a: Usage | undefined, b: Usage | undefined, show: (usage: Usage) => string): string {
  return [a, b].map((usage) => (usage === undefined ? '–' : show(usage))).join('/')
}

/** Writes everything that was measured, with the machine beside it, and gives the file's name. */
export async function writeReport(
  dir: string,
  how: { readonly scale: number; readonly dialect: Dialect },
  measurements: readonly Measurement[],
): Promise<string> {
  const at = new Date().toISOString()
  const machine = {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryBytes: totalmem(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
  }
  await mkdir(dir, { recursive: true })
  const file = join(dir, `${at.replaceAll(':', '-')}.json`)
  await writeFile(file, `${JSON.stringify({ at, ...how, machine, measurements }, undefined, 2)}\n`)
  return file
}
