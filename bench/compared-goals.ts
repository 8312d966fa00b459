import type { Measurement } from './measurement.ts'

/** A goal that takes two scenarios of one run: `scenario` reaches `atLeast` times what `of` does. */
interface ComparedGoal {
  readonly scenario: string
  readonly atLeast: number
  readonly of: string
}

const COMPARED: readonly ComparedGoal[] = [
  // 1 GiB travels at so much of the speed at which one client uploads it.
  { scenario: 'replicate-large', atLeast: 0.7, of: 'upload-large' },
  { scenario: 'replicate-small-4', atLeast: 1.5, of: 'rclone-small' },
]

/** Judges what needs two scenarios, where both ran. */
export function withComparedGoals(measurements: readonly Measurement[]): Measurement[] {
  return measurements.map((measurement) => {
    const goals = COMPARED.filter(({ scenario }) => scenario === measurement.scenario).flatMap(({ atLeast, of }) => {
      const other = measurements.find(({ scenario }) => scenario === of)
      if (other === undefined) return []
      const ratio = measurement.value / other.value
      return [{ text: `≥ ${atLeast} of ${of} (${ratio.toFixed(2)})`, met: ratio >= atLeast }]
    })
    return { ...measurement, goals: [...goals, ...measurement.goals] }
  })
}
