import type { Goal, Measurement } from './measurement.ts'
import type { Run } from './replicator.ts'
import { LARGE, SMALL, type Stage } from './stage.ts'

export interface Scenario {
  readonly name: string
  readonly title: string
  /** Programs without which it is left out. */
  readonly needs?: readonly string[]
  /** Several where one preparation serves several numbers. */
  run(stage: Stage, signal: AbortSignal): Promise<Measurement | readonly Measurement[]>
}

export const MIB = 1024 * 1024

export const perSecond = (amount: number, ms: number): number => amount / (ms / 1000)
export const atLeast = (value: number, limit: number, unit: string): Goal => ({
  text: `≥ ${limit} ${unit}`,
  met: value >= limit,
})
export const named = ({ name, title }: Scenario) => ({ scenario: name, what: title })
export const usedBy = ({ a, b, targetRequests, seenMs }: Run) => ({ a, b, targetRequests, seenMs })

/** Steps that scenarios build on; the names tell `Stage.once` what was done. */
export const haveLarge = (stage: Stage) => stage.once('large at A', () => stage.put(stage.a, LARGE, [stage.large]))
export const haveLargeRaw = (stage: Stage) =>
  stage.once('large at raw', () => stage.put(stage.raw, LARGE, [stage.large]))
export const haveSmall = (stage: Stage) => stage.once('small at A', () => stage.put(stage.a, SMALL, stage.small))
export const haveSmallRaw = (stage: Stage) => stage.once('small at raw', () => stage.put(stage.raw, SMALL, stage.small))
export const replicateSmall = (stage: Stage) => stage.replicate(SMALL, [...stage.smallNow.values()])
export async function haveSmallAtBoth(stage: Stage): Promise<void> {
  await haveSmall(stage)
  await stage.once('small at B', () => replicateSmall(stage))
}
