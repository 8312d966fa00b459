import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { ReconMessage, ReconPart } from '../../remotes/cluster/recon/recon-message.ts'
import { NotOurProtocol } from '../../remotes/transport/failures.ts'
import type { Asked, Item } from './item.ts'
import { createTurns } from './turns.ts'

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

/** A range is cut into 16 parts, or one or two more; what is asked next grows with them. */
const MAX_PARTS = 64
const PARTS_PER_TURN = 2_048

/** Gives each part of the answer to its question. @throws NotOurProtocol for a part that answers none, and for no answer at all. */
export async function matchAnswer(asked: readonly Asked[], answer: ReconMessage): Promise<Matched> {
  const answered: Answered[] = []
  const turn = createTurns(PARTS_PER_TURN)
  let next = 0
  /** Of the question at `next`, besides lists of lanes. */
  let cuts = 0
  for (const part of answer.parts) {
    await turn(1)
    while (next < asked.length && endsBefore(asked[next]!.part.range, part.range.lo)) {
      next++
      cuts = 0
    }
    const question = asked[next]
    if (question === undefined || !contains(question.part.range, part.range)) {
      throw new NotOurProtocol('the target answered to a range that it was not asked about')
    }
    if (!ANSWERS[question.part.mode].includes(part.mode)) {
      throw new NotOurProtocol(`the target answered to ${question.part.mode} with ${part.mode}`)
    }
    if (part.mode !== 'lanes' && ++cuts > MAX_PARTS) {
      throw new NotOurProtocol(`the target cut a range into more than ${MAX_PARTS} parts`)
    }
    answered.push({ asked: question, part })
  }
  const reached = answer.partial ? answer.reached : null
  if (reached === null) return { answered, settled: asked, again: [] }
  const left = asked.findIndex(({ part }) => !endsBefore(part.range, reached))
  const [settled, rest] = left < 0 ? [asked, []] : [asked.slice(0, left), asked.slice(left)]
  checkProgress(settled, rest, answered, reached)
  return { answered, settled, again: rest.map((question) => restOf(question, reached)) }
}

/** A partial answer deals with its first range at least, or says something of the part that it cuts off. */
function checkProgress(
  settled: readonly Asked[],
  rest: readonly Asked[],
  answered: readonly Answered[],
  reached: string,
) {
  const [cut] = rest
  const isCut = cut !== undefined && comparePaths(cut.part.range.lo, reached) < 0
  const wasTold = answered.at(-1)?.asked === cut
  if (isCut ? wasTold : settled.length > 0) return
  throw new NotOurProtocol('the target said that it has no room for more, and answered nothing')
}

/** What of a question lies at or behind `reached`. */
function restOf(question: Asked, reached: string): Item {
  const { part } = question
  if (comparePaths(part.range.lo, reached) >= 0) return question
  const range = { lo: reached, hi: part.range.hi }
  if (part.mode !== 'question') {
    return { kind: 'refine', range, rows: 0, repeats: 0 }
  }
  const paths = part.paths.filter((path) => comparePaths(path, reached) >= 0)
  return { kind: 'say', part: { mode: 'question', range, paths }, lines: [], repeats: 0 }
}

const endsBefore = ({ hi }: PathRange, path: string): boolean => hi !== null && comparePaths(hi, path) <= 0

function contains(outer: PathRange, inner: PathRange): boolean {
  if (comparePaths(inner.lo, outer.lo) < 0) return false
  return outer.hi === null || (inner.hi !== null && comparePaths(inner.hi, outer.hi) <= 0)
}
