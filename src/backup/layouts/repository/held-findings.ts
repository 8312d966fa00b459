import { createFindings, type Findings } from '../findings.ts'
import type { VerifyFinding } from '../layout.ts'
import { dataIdOf } from './data-object.ts'
import type { Repository } from './repository.ts'

/** Findings of data objects that are told only when nobody has removed the object meanwhile, as a prune may. */
export interface HeldFindings extends Findings {
  /** @returns objects that are gone and that no index has any more: nothing is told of them. */
  settle(signal: AbortSignal): Promise<ReadonlySet<string>>
}

export function createHeldFindings({ location, index }: Repository): HeldFindings {
  const findings = createFindings()
  const held = new Map<string, VerifyFinding[]>()
  return {
    get report() {
      return findings.report
    },
    object: findings.object,
    odd: findings.odd,
    wrong(finding) {
      const its = held.get(finding.object)
      if (dataIdOf(finding.object) === undefined) findings.wrong(finding)
      else if (its === undefined) held.set(finding.object, [finding])
      else its.push(finding)
    },
    async settle(signal) {
      const gone = new Set<string>()
      if (held.size > 0) await index.refresh(signal)
      for (const [object, its] of held) {
        const isKnown = index.hasObject(dataIdOf(object)!) || (await location.find(object, signal)) !== undefined
        if (isKnown) for (const finding of its) findings.wrong(finding)
        else gone.add(object)
      }
      held.clear()
      return gone
    },
  }
}
