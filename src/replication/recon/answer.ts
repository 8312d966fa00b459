import { setImmediate } from 'node:timers/promises'
import { AppError } from '../../core/errors.ts'
import { type FingerprintRow, fingerprintOf, rowIdOf } from '../../core/fingerprint.ts'
import { comparePaths } from '../../core/paths.ts'
import type {
  EmptyPart,
  QuestionPart,
  ReconPart,
  RowsPart,
  StandingRow,
} from '../../remotes/cluster/recon/recon-message.ts'
import { readReconMessage } from '../../remotes/cluster/recon/recon-reader.ts'
import { createReconWriter, type ReconWriter } from '../../remotes/cluster/recon/recon-writer.ts'
import { afterPath, type Fingerprints, RANGES_AT_ONCE, rowsAt } from './fingerprints.ts'
import { NO_LEDGER } from './ledger-index.ts'
import { refineInOrder, type Side } from './refine.ts'

/** A list is answered row by row as long as we have no more rows there than this. */
const ANSWER_ROWS = 256
/** Rows of one read where the other side has nothing. */
const PAGE_ROWS = 512
/** With the longest paths, a page and what surrounds it fit into one message. */
const PAGE_BYTES = 512 * 1024
/** A row takes this much besides its path. */
const ROW_BYTES = 48
/** Paths of one list. A source asks for 256 at most, and says lists of 64. */
const MAX_LISTED = 256
/** Ranges and paths that one message gets an answer to: less than a second of work. */
const ASKED_PER_ANSWER = 4_096
/** Ranges and paths of one turn: some milliseconds of this thread. */
const ASKED_PER_TURN = RANGES_AT_ONCE

/**
 * The target's side of reconciliation: a function of the message and of what is here, nothing is kept between two messages.
 * @throws AppError for whatever is not a question of this protocol.
 */
export async function answerRecon(question: Buffer, local: Fingerprints, signal: AbortSignal): Promise<Buffer> {
  const { compared, partial, parts } = await readReconMessage(question, MAX_LISTED)
  if (partial) throw new AppError('REQUEST_CONTENT_INVALID', 'A question of reconciliation is never partial', {})
  const side: Side = { local, ledger: NO_LEDGER, compared }
  const writer = createReconWriter(compared)
  let asked = 0
  for (const slice of slicesOf(parts)) {
    await setImmediate()
    signal.throwIfAborted()
    if (asked >= ASKED_PER_ANSWER) return writer.endPartial(slice[0]!.range.lo)
    const reached = await answerSlice(side, slice, writer)
    if (reached !== undefined) return writer.endPartial(reached)
    for (const part of slice) asked += askedBy(part)
  }
  return writer.end()
}

/** What one turn takes. */
function* slicesOf(parts: readonly ReconPart[]): Generator<ReconPart[]> {
  let slice: ReconPart[] = []
  let asked = 0
  for (const part of parts) {
    const more = askedBy(part)
    if (slice.length > 0 && asked + more > ASKED_PER_TURN) {
      yield slice
      slice = []
      asked = 0
    }
    slice.push(part)
    asked += more
  }
  if (slice.length > 0) yield slice
}

function askedBy(part: ReconPart): number {
  if (part.mode === 'rows') return 1 + part.rows.length
  return part.mode === 'question' ? 1 + part.paths.length : 1
}

/** Undefined, or the path from which on there was no room for the answer. */
async function answerSlice(side: Side, slice: readonly ReconPart[], writer: ReconWriter): Promise<string | undefined> {
  const said = slice.filter((part) => part.mode === 'fingerprint')
  const sums = said.length === 0 ? [] : await side.local.sums(said.map(({ range }) => range))
  const differing = said.flatMap((part, index) => {
    const { range, fingerprint } = part
    const isEqual = fingerprintOf(sums[index]!, side.compared).equals(fingerprint)
    return isEqual ? [] : [{ part, range, rows: sums[index]!.rows }]
  })
  const placeOf = new Map<ReconPart, number>(differing.map(({ part }, place) => [part, place]))
  const refined = refineInOrder(side, differing)
  for (const part of slice) {
    const place = placeOf.get(part)
    const reached =
      place !== undefined ? add(writer, (await refined(place)).parts) : await answerDetail(side, part, writer)
    if (reached !== undefined) return reached
  }
  return undefined
}

async function answerDetail(side: Side, part: ReconPart, writer: ReconWriter): Promise<string | undefined> {
  switch (part.mode) {
    case 'fingerprint':
      return undefined
    case 'rows':
      return answerList(side, part, writer)
    case 'empty':
      return answerEmpty(side, part, writer)
    case 'question':
      return answerQuestion(side, part, writer)
    case 'lanes':
      throw new AppError('REQUEST_CONTENT_INVALID', 'Mode 5 of reconciliation is an answer, not a question', {})
  }
}

const add = (writer: ReconWriter, parts: readonly ReconPart[]): string | undefined =>
  writer.add(parts) ? undefined : parts[0]!.range.lo

async function answerList(side: Side, { range, rows: theirs }: RowsPart, writer: ReconWriter) {
  const ours = await side.local.rows(range, ANSWER_ROWS + 1)
  if (ours.length > ANSWER_ROWS) {
    const [sum] = await side.local.sums([range])
    const refined = await refineInOrder(side, [{ range, rows: Math.max(sum!.rows, ours.length) }])(0)
    return add(writer, refined.parts)
  }
  const rest = new Map(theirs.map(({ path, id }) => [path, id]))
  const rows: StandingRow[] = []
  for (const row of ours) {
    const id = rest.get(row.path)
    rest.delete(row.path)
    if (id === undefined || !id.equals(rowIdOf(row, side.compared))) rows.push(standing(row))
  }
  for (const path of rest.keys()) rows.push({ path, lanes: null })
  if (rows.length === 0) return undefined
  rows.sort((a, b) => comparePaths(a.path, b.path))
  return add(writer, [{ mode: 'lanes', range, rows }])
}

/** All that is here, page by page. */
async function answerEmpty({ local }: Side, { range }: EmptyPart, writer: ReconWriter): Promise<string | undefined> {
  let lo = range.lo
  for (;;) {
    const read = await local.rows({ lo, hi: range.hi }, PAGE_ROWS)
    const page = fitting(read)
    if (page.length === 0) return undefined
    const isLast = read.length < PAGE_ROWS && page.length === read.length
    const hi = isLast ? range.hi : afterPath(page.at(-1)!.path)
    if (!writer.add([{ mode: 'lanes', range: { lo, hi }, rows: page.map(standing) }])) return lo
    if (isLast) return undefined
    lo = hi!
    await setImmediate()
  }
}

function fitting(rows: readonly FingerprintRow[]): readonly FingerprintRow[] {
  let bytes = 0
  const end = rows.findIndex(({ path }) => {
    bytes += Buffer.byteLength(path) + ROW_BYTES
    return bytes > PAGE_BYTES
  })
  return end < 0 ? rows : rows.slice(0, end)
}

async function answerQuestion({ local }: Side, { range, paths }: QuestionPart, writer: ReconWriter) {
  let lo = range.lo
  for (let at = 0; at < paths.length; at += ANSWER_ROWS) {
    const asked = paths.slice(at, at + ANSWER_ROWS)
    const rows = (await rowsAt(local, asked)).map((row, index) =>
      row ? standing(row) : { path: asked[index]!, lanes: null },
    )
    const next = paths[at + ANSWER_ROWS]
    const hi = next ?? range.hi
    if (!writer.add([{ mode: 'lanes', range: { lo, hi }, rows }])) return lo
    if (next !== undefined) lo = next
  }
  return undefined
}

const standing = ({ path, content, metadata }: FingerprintRow): StandingRow => ({ path, lanes: { content, metadata } })
