import { coarsened, EVERY_PATH, holderOf, mergeRanges, type PathRange, rangesOfTree } from '../../core/path-range.ts'
import { comparePaths, type NodePath, nameOf, parentOf, ROOT } from '../../core/paths.ts'
import { successor } from '../../metadata/sql/text-prefix.ts'
import type { PathConstraint } from '../task.ts'
import { matcherOf } from './expressions.ts'
import { createNamePatterns, type NamePatterns } from './name-patterns.ts'

/** Whether a file with this path is selected. */
export type PathFilter = (path: string) => boolean

/** Which files path constraints select (replication.md 5.2). */
export interface PathSelection {
  /** Hold all that is selected. Sorted, without overlap. */
  readonly ranges: readonly PathRange[]
  /** Undefined: all that the ranges hold is selected. Its cost does not grow with the number of constraints. */
  readonly holds: PathFilter | undefined
  /** Tells this selection from any other. */
  readonly identity: unknown
  /** Files and folders that are named, each once, without the root: one that is not there selects nothing. */
  readonly named: readonly NodePath[]
  /** To learn which patterns and expressions select nothing; undefined: there are none. */
  readonly watch: (() => SelectionWatch) | undefined
}

/** Is shown selected paths, and knows which patterns and expressions none of them fitted. */
export interface SelectionWatch {
  saw(path: string): void
  /** As they were given. */
  silent(): string[]
}

/** Each is asked for by itself, here and at the target: with more of them neighbours are put together, and files are looked at one by one. */
const MAX_RANGES = 256

/** The last name has a `*`; whether it is a pattern is told by what is stored (`selectPaths`). */
export const mayBePattern = (path: string): boolean => path.includes('*', path.lastIndexOf('/'))

/** Whole repositories. */
const EVERYTHING: PathSelection = {
  ranges: [EVERY_PATH],
  holds: undefined,
  identity: [['/', null]],
  named: [],
  watch: undefined,
}

/**
 * @param constraints undefined: everything.
 * @param isStored of a path whose last name has a `*`: there is a node of just this name, so it means that and no other.
 */
export function selectPaths(
  constraints: readonly PathConstraint[] | undefined,
  isStored: (path: NodePath) => boolean,
): PathSelection {
  if (constraints === undefined) return EVERYTHING
  const plain = createPart(constraints.filter(({ pathRegex }) => pathRegex == null).map(placeOf), isStored)
  const byExpression = Map.groupBy(
    constraints.filter(({ pathRegex }) => pathRegex != null),
    ({ pathRegex }) => pathRegex!,
  )
  const expressions = [...byExpression.keys()].sort(comparePaths)
  const parts = expressions.map((expression) => createPart(byExpression.get(expression)!.map(placeOf), isStored))
  const all = [plain, ...parts]
  const matching = matcherOf(expressions)
  const isExact = expressions.length === 0 && plain.patterns.size === 0
  const isEverything = plain.ranges[0]?.lo === EVERY_PATH.lo && plain.ranges[0].hi === null
  const named = [...new Set(all.flatMap((part) => part.named))]
  const watch = isExact ? undefined : () => createWatch(plain, parts, expressions, matching)
  if (isEverything) return { ...EVERYTHING, named, watch }
  const holds: PathFilter = (path) => plain.holds(path) || matching(path).some((place) => parts[place]!.holds(path))
  const ranges = mergeRanges(all.flatMap(({ covering }) => covering))
  return {
    ranges: coarsened(ranges, MAX_RANGES),
    holds: isExact && ranges.length <= MAX_RANGES ? undefined : holds,
    identity: isExact
      ? plain.identity[0]
      : [plain.identity, expressions.map((expression, place) => [expression, parts[place]!.identity])],
    named,
    watch,
  }
}
const placeOf = ({ path }: PathConstraint): NodePath => path ?? ROOT

/** Trees and patterns, without expressions. */
interface Part {
  /** Of the trees. */
  readonly ranges: readonly PathRange[]
  readonly patterns: ReadonlySet<string>
  readonly covering: readonly PathRange[]
  readonly named: readonly NodePath[]
  readonly identity: readonly [trees: unknown, patterns: unknown]
  holds(path: string): boolean
  patternsAt(path: string): Iterable<string>
}

function createPart(places: readonly NodePath[], isStored: (path: NodePath) => boolean): Part {
  const isPattern = (path: NodePath) => mayBePattern(path) && !isStored(path)
  const patterns = new Set(places.filter(isPattern))
  const trees = [...new Set(places)].filter((path) => !patterns.has(path))
  const ranges = mergeRanges(trees.flatMap(rangesOfTree))
  const isInTree = holderOf(ranges)
  const byFolder = new Map<NodePath, NamePatterns>()
  for (const [folder, some] of Map.groupBy(patterns, parentOf))
    byFolder.set(folder, createNamePatterns(some.map(nameOf)))
  const patternsAt = function* (path: string): Generator<string> {
    const folder = parentOf(path as NodePath)
    const names = byFolder.get(folder)
    if (names === undefined) return
    for (const name of names.matching(nameOf(path as NodePath))) yield `${folder === ROOT ? '' : folder}/${name}`
  }
  return {
    ranges,
    patterns,
    covering: [...ranges, ...[...patterns].map(coveringOf)],
    named: trees.filter((path) => path !== ROOT),
    identity: [ranges.map(({ lo, hi }) => [lo, hi]), [...patterns].sort(comparePaths)],
    holds: (path) => isInTree(path) || !patternsAt(path).next().done,
    patternsAt,
  }
}

/** All paths that begin as the pattern does before its first `*`. */
function coveringOf(pattern: NodePath): PathRange {
  const prefix = pattern.slice(0, pattern.indexOf('*', pattern.lastIndexOf('/')))
  return { lo: prefix, hi: successor(prefix) ?? null }
}

function createWatch(
  plain: Part,
  parts: readonly Part[],
  expressions: readonly string[],
  matching: (path: string) => readonly number[],
): SelectionWatch {
  const patterns = new Set(plain.patterns)
  const places = new Set(expressions.keys())
  return {
    saw(path) {
      if (patterns.size > 0) for (const pattern of plain.patternsAt(path)) patterns.delete(pattern)
      if (places.size === 0) return
      for (const place of matching(path)) if (places.has(place) && parts[place]!.holds(path)) places.delete(place)
    },
    silent: () => [...patterns, ...[...places].map((place) => expressions[place]!)],
  }
}
