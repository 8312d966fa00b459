import type { VerifyFinding, VerifyReport } from './layout.ts'

const MOST_FINDINGS = 1_000

/** What a verification has found so far. */
export interface Findings {
  readonly report: VerifyReport
  object(bytes: number): void
  /** Damage, or something missing. */
  wrong(finding: VerifyFinding): void
  /** Something that does no harm: told, but the run is whole. */
  odd(finding: VerifyFinding): void
}

export function createFindings(): Findings {
  const findings: VerifyFinding[] = []
  const oddities: VerifyFinding[] = []
  let objects = 0
  let bytes = 0
  let wrong = 0
  return {
    get report() {
      return { objects, bytes, findings: [...findings, ...oddities].slice(0, MOST_FINDINGS), wrong }
    },
    object(count) {
      objects++
      bytes += count
    },
    wrong(finding) {
      wrong++
      if (findings.length < MOST_FINDINGS) findings.push(finding)
    },
    odd(finding) {
      if (oddities.length < MOST_FINDINGS) oddities.push(finding)
    },
  }
}
