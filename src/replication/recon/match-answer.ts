import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { ReconMessage, ReconPart } from '../../remotes/cluster/recon/recon-message.ts'
import { NotOurProtocol } from '../../remotes/transport/failures.ts'
import type { Asked, Item } from './item.ts'

/** A part of an answer, and the question that it belongs to. */
export interface Answered {
  readonly asked: Asked
  readonly part: ReconPart
}

export interface Matched {
  /** Ascending. */
  readonly answered: readonly Answered[]
  /** Questions that were looked at, with or without a difference. */
  readonly settled: readonly Asked[]
  /** What the target had no room for. */
  readonly again: readonly Item[]
}

/** What may be said to what was said. */
const ANSWERS: Readonly<Record<ReconPart['mode'], readonly ReconPart['mode'][]>> = {
  fingerprint: ['fingerprint', 'rows', 'empty'],
  rows: ['lanes', 'fingerprint', 'rows', 'empty'],
  empty: ['lanes', 'fingerprint', 'rows'],
  question: ['lanes'],
  lanes: [],
}

/** Gives each part of the answer to its question. @throws NotOurProtocol for a part that answers none. */
export function matchAnswer(asked: readonly Asked[], answer: ReconMessage): Matched {
  const answered: Answered[] = []
  let next = 0
  for (const part of answer.parts) {
    while (next < asked.length && endsBefore(asked[next]!.part.range, part.range.lo)) next++
    const question = asked[next]
    if (question === undefined || !contains(question.part.range, part.range)) {
      throw new NotOurProtocol('the target answered to a range that it was not asked about')
    }
    if (!ANSWERS[question.part.mode].includes(part.mode)) {
      throw new NotOurProtocol(`the target answered to ${question.part.mode} with ${part.mode}`)
    }
    answered.push({ asked: question, part })
  }
  const reached = answer.partial ? answer.reached : null
  if (reached === null) return { answered, settled: asked, again: [] }
  return {
    answered,
    settled: asked.filter(({ part }) => endsBefore(part.range, reached)),
    again: asked.filter(({ part }) => !endsBefore(part.range, reached)).map((question) => restOf(question, reached)),
  }
}

/** What of a question lies at or behind `reached`. */
function restOf(question: Asked, reached: string): Item {
  const { part } = question
  if (comparePaths(part.range.lo, reached) >= 0) return question
  const range = { lo: reached, hi: part.range.hi }
  if (part.mode !== 'question') {
    return { kind: 'refine', range, rows: 0 }
  }
  const paths = part.paths.filter((path) => comparePaths(path, reached) >= 0)
  return { kind: 'say', part: { mode: 'question', range, paths }, lines: [] }
}

const endsBefore = ({ hi }: PathRange, path: string): boolean => hi !== null && comparePaths(hi, path) <= 0

function contains(outer: PathRange, inner: PathRange): boolean {
  if (comparePaths(inner.lo, outer.lo) < 0) return false
  return outer.hi === null || (inner.hi !== null && comparePaths(inner.hi, outer.hi) <= 0)
}
