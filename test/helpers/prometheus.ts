/** One line of the Prometheus text format, e.g. `requests_total{route="/x",status="200"} 12`. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g

export function parseSamples(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const match = LINE.exec(line)
    if (match === null) return []
    const labels = Object.fromEntries(
      [...(match[2] ?? '').matchAll(LABEL)].map(([, name, value]) => [name, value ?? '']),
    )
    return [{ name: match[1]!, labels, value: Number(match[3]) }]
  })
}

/** The sum of all lines of a metric that `wanted` picks. */
export function sumOf(samples: readonly Sample[], name: string, wanted: (labels: Sample['labels']) => boolean): number {
  return samples
    .filter((sample) => sample.name === name && wanted(sample.labels))
    .reduce((sum, { value }) => sum + value, 0)
}
