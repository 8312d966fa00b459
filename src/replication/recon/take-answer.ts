import { addSums, type ComparedLanes, fingerprintOf, type RangeSum } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { FingerprintPart, LanesPart, RowId, RowsPart } from '../../remotes/cluster/recon/recon-message.ts'
import { NotOurProtocol } from '../../remotes/transport/failures.ts'
import type { Findings } from './findings.ts'
import { afterPath, rowsAt, sumsOf } from './fingerprints.ts'
import type { Asked, Item } from './item.ts'
import { expectedOf, type Line, mergeLines } from './lines.ts'
import type { Matched } from './match-answer.ts'
import { READ_ROWS, type Side } from './refine.ts'
import { createTurns } from './turns.ts'

/** Rows compared, or a few parts, in about two milliseconds. */
const WORK_PER_TURN = 1_024
const WORK_PER_PART = 16
/** So often a list may be answered with another sum of the same range: rows of that range may change meanwhile. */
const MAX_REPEATS = 3
const PATHS_PER_QUESTION = 256

/** Takes note of what an answer says. @returns what has to be asked now, ascending. */
export async function takeAnswer(side: Side, matched: Matched, findings: Findings): Promise<Item[]> {
  const { answered, settled, again } = matched
  await checkAnswered(matched)
  const next: Item[] = []
  const theirs = answered.flatMap(({ part }) => (part.mode === 'fingerprint' ? [part] : []))
  const sums = await sumsOf(
    side.local,
    theirs.map(({ range }) => range),
  )
  const sumOf = new Map<FingerprintPart, RangeSum>(theirs.map((part, index) => [part, sums[index]!]))
  const turn = createTurns(WORK_PER_TURN)
  for (const { asked, part } of answered) {
    await turn(WORK_PER_PART)
    switch (part.mode) {
      case 'fingerprint': {
        const item = compareSums(side, asked, part, sumOf.get(part)!)
        if (item !== undefined) next.push(item)
        break
      }
      case 'rows':
        await turn(part.rows.length)
        next.push(...(await takeRows(side, part, findings)))
        break
      case 'empty':
        await takeEmpty(side, part.range, findings)
        break
      case 'lanes':
        await turn(part.rows.length)
        takeLanes(asked, part, findings)
        break
      case 'question':
        throw new NotOurProtocol('the target answered with a question')
    }
  }
  for (const asked of settled) {
    await turn(1 + asked.lines.length)
    settle(asked, side.compared, findings)
  }
  return [...next, ...again]
}

function compareSums({ ledger, compared }: Side, asked: Asked, part: FingerprintPart, sum: RangeSum): Item | undefined {
  const { range } = part
  if (fingerprintOf(addSums(sum, ledger.sumIn(range)), compared).equals(part.fingerprint)) return undefined
  const repeats = repeatsOf(asked, range)
  if (repeats > MAX_REPEATS) {
    throw new NotOurProtocol(`the target said ${repeats} times that a list is not its own, and never what is`)
  }
  return { kind: 'refine', range, rows: sum.rows, repeats }
}

/** A range that nobody cuts gets smaller here, until it is said as a list: then it is for the target to say more. */
function repeatsOf({ part, repeats }: Asked, range: PathRange): number {
  if (part.range.lo !== range.lo || part.range.hi !== range.hi) return 0
  return part.mode === 'fingerprint' ? repeats : repeats + 1
}

/** The target said all that it has in a range. */
async function takeRows(side: Side, { range, rows }: RowsPart, findings: Findings): Promise<Item[]> {
  const own = await side.local.rows(range, READ_ROWS + 1)
  const lines =
    own.length > READ_ROWS
      ? await linesAmongMany(side, range, rows, findings)
      : mergeLines(own, side.ledger.entriesIn(range))
  const rest = new Map(rows.map(({ path, id }) => [path, id]))
  const unknown: string[] = []
  const compare = (line: Line) => {
    const id = rest.get(line.path)
    rest.delete(line.path)
    if (findings.compare(line, id === undefined ? null : { id }) === 'ask') unknown.push(line.path)
  }
  for (const line of lines) compare(line)
  for (const path of [...rest.keys()]) compare({ path, local: undefined, entry: undefined })
  return questions(range, unknown.sort(comparePaths))
}

/** What lanes do these paths of the range have? Asked in parts that fit into a message, however long the paths. */
function questions(range: PathRange, paths: readonly string[]): Item[] {
  const items: Item[] = []
  let lo = range.lo
  for (let at = 0; at < paths.length; at += PATHS_PER_QUESTION) {
    const hi = paths[at + PATHS_PER_QUESTION] ?? range.hi
    const part = { mode: 'question', range: { lo, hi }, paths: paths.slice(at, at + PATHS_PER_QUESTION) } as const
    items.push({ kind: 'say', part, lines: [], repeats: 0 })
    lo = hi ?? lo
  }
  return items
}

/** Where the source has far more than the target: all that lies between the target's rows is missing as a whole. */
async function linesAmongMany(
  side: Side,
  range: PathRange,
  rows: readonly RowId[],
  findings: Findings,
): Promise<Line[]> {
  const entries = new Map(side.ledger.entriesIn(range).map((entry) => [entry.path, entry]))
  const paths = [...new Set([...rows.map(({ path }) => path), ...entries.keys()])].sort(comparePaths)
  await missingBetween(side, range, paths, findings)
  const found = await rowsAt(side.local, paths)
  return paths.map((path, index) => ({ path, local: found[index], entry: entries.get(path) }))
}

/** The target has nothing in the range. What the ledger expects to be missing stays out of it. */
async function takeEmpty(side: Side, range: PathRange, findings: Findings): Promise<void> {
  const entries = side.ledger.entriesIn(range)
  const found = await rowsAt(
    side.local,
    entries.map(({ path }) => path),
  )
  const accepted: string[] = []
  const turn = createTurns(WORK_PER_TURN)
  for (const [index, entry] of entries.entries()) {
    await turn(1)
    const line = { path: entry.path, local: found[index], entry }
    const { id, stale } = expectedOf(line, side.compared)
    if (id === null && !stale) accepted.push(entry.path)
    else findings.changed(entry.path)
  }
  await missingBetween(side, range, accepted, findings)
}

/** What the source has in the range, these paths left out, is missing. */
async function missingBetween(side: Side, range: PathRange, paths: readonly string[], findings: Findings) {
  const starts = [range.lo, ...paths.map(afterPath)]
  const gaps = starts.map((lo, index) => ({ lo, hi: paths[index] ?? range.hi })).filter(isNotEmpty)
  const sums = await sumsOf(side.local, gaps)
  for (const [index, gap] of gaps.entries()) if (sums[index]!.rows > 0) findings.missingRange(gap)
}
const isNotEmpty = ({ lo, hi }: PathRange): boolean => hi === null || comparePaths(lo, hi) < 0

/** The target said how it stands where it is not as we said, or what we asked for. */
function takeLanes(asked: Asked, { rows }: LanesPart, findings: Findings): void {
  const isQuestion = asked.part.mode === 'question'
  const lineOf = new Map(asked.lines.map((line) => [line.path, line]))
  for (const { path, lanes } of rows) {
    const line = lineOf.get(path) ?? { path, local: undefined, entry: undefined }
    // It stood there a moment ago; gone by now, it is no difference any more.
    if (isQuestion && lanes === null) continue
    findings.compare(line, lanes === null ? null : { lanes })
  }
}

/** A list shows entries of the ledger that were made for another local row. */
function settle({ lines }: Asked, compared: ComparedLanes, findings: Findings): void {
  for (const line of lines) {
    if (line.entry !== undefined && expectedOf(line, compared).stale) findings.changed(line.path)
  }
}

/** A question has to be answered for each of its paths, in their order, and for no other. Where there was no room, for the first ones. */
async function checkAnswered({ answered, settled, again }: Matched): Promise<void> {
  const told = new Map<Asked, number>()
  const turn = createTurns(WORK_PER_TURN)
  for (const { asked, part } of answered) {
    if (asked.part.mode !== 'question' || part.mode !== 'lanes') continue
    const { paths } = asked.part
    await turn(part.rows.length)
    let at = told.get(asked) ?? 0
    for (const { path } of part.rows) {
      if (paths[at++] !== path) throw new NotOurProtocol('the target answered about a path that it was not asked about')
    }
    told.set(asked, at)
  }
  const [first] = again
  const left = first?.kind === 'say' && first.part.mode === 'question' ? first.part.paths.length : 0
  for (const asked of settled) checkWhole(asked, told.get(asked) ?? 0, 0)
  const cut = answered.at(-1)?.asked
  if (cut !== undefined && told.has(cut) && !settled.includes(cut)) checkWhole(cut, told.get(cut)!, left)
}
function checkWhole({ part }: Asked, told: number, left: number): void {
  if (part.mode === 'question' && told + left !== part.paths.length) {
    throw new NotOurProtocol('the target left a question about paths without an answer')
  }
}
