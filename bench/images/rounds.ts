import { type Usage, watchUsage } from '../process-usage.ts'

/** One run of one way: how long it took, and what the watched processes used. */
export interface Round {
  readonly ms: number
  readonly usages: readonly Usage[]
  /** Of all that took part. */
  readonly cpuSeconds: number
}
export interface Way {
  readonly name: string
  /** Of servers. */
  readonly pids: readonly number[]
  /** What is measured. Gives the processor time of a program that was started for it, and the time when another clock tells better. */
  run(round: number): Promise<undefined | { readonly cpuSeconds?: number; readonly ms?: number }>
  /** Before and after, unmeasured. */
  prepare?(round: number): Promise<unknown>
  check?(round: number): Promise<unknown>
}
/** The run in the middle. */
export interface Middle extends Round {
  /** Of all runs, in their order. */
  readonly all: readonly Round[]
}

/** Ways take turns, so that a machine that is busy for a while is so for all of them. */
export async function takeTurns<const Ways extends readonly Way[]>(
  rounds: number,
  ways: Ways,
): Promise<{ [Index in keyof Ways]: Middle }> {
  const found = ways.map((): Round[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [index, way] of ways.entries()) {
      await way.prepare?.(round)
      const watch = watchUsage(way.pids)
      const from = performance.now()
      const own: { cpuSeconds?: number; ms?: number } = {}
      try {
        Object.assign(own, await way.run(round))
      } finally {
        watch.stop()
      }
      const ms = own.ms ?? performance.now() - from
      const usages = watch.end()
      const cpuSeconds = usages.reduce((sum, usage) => sum + usage.cpuSeconds, own.cpuSeconds ?? 0)
      found[index]!.push({ ms, usages, cpuSeconds })
      console.error(`  ${way.name}: ${(ms / 1000).toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of processor time`)
      await way.check?.(round)
    }
  }
  return found.map(middleOf) as { [Index in keyof Ways]: Middle }
}

function middleOf(all: readonly Round[]): Middle {
  const middle = all.toSorted((one, other) => one.ms - other.ms)[Math.floor(all.length / 2)]!
  return { ...middle, all }
}

/** `3.1 4.0 3.3 s`, for the report. */
export const allOf = ({ all }: Middle): string => `${all.map(({ ms }) => (ms / 1000).toFixed(2)).join(' ')} s`
