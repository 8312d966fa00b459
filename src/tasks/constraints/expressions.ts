import { RE2JS, RE2JSException, RE2Set } from 're2js'
import { invalid } from '../../core/errors.ts'

/**
 * Regular expressions of constraints: RE2's syntax (no look-around, no back references), matched against the whole of a text, in time
 * linear in its length.
 */

/** Of one expression, in characters: what compiles longest within it takes an eighth of a second. */
const MAX_CHARACTERS = 500
/** Of one expression: `x{0,500}` is about 1,000 instructions. */
const MAX_INSTRUCTIONS = 1_500
/** Of all expressions of a task together: a path costs its length times these at the very worst. */
const MAX_INSTRUCTIONS_TOGETHER = 6_000
/** Different expressions of one task. */
const MAX_EXPRESSIONS = 256

/** Judges the expressions of one task as they come. */
export interface ExpressionJudge {
  /** @throws AppError PARAMETER_INVALID naming the field: not an expression of RE2, or too much of them. */
  check(field: string, expression: string): void
}

export function createExpressionJudge(): ExpressionJudge {
  const known = new Set<string>()
  let instructions = 0
  return {
    check(field, expression) {
      if (known.has(expression)) return
      if (known.size === MAX_EXPRESSIONS) throw invalid(field, `more than ${MAX_EXPRESSIONS} expressions in one task`)
      instructions += instructionsOf(field, expression)
      if (instructions > MAX_INSTRUCTIONS_TOGETHER) {
        throw invalid(
          field,
          'the expressions of the task are too large together: use fewer of them, or repeat less in them',
        )
      }
      known.add(expression)
    },
  }
}

function instructionsOf(field: string, expression: string): number {
  if (expression.length > MAX_CHARACTERS) throw invalid(field, `it is longer than ${MAX_CHARACTERS} characters`)
  const size = programSize(field, expression)
  if (size > MAX_INSTRUCTIONS) throw invalid(field, `[${shown(expression)}] repeats too much`)
  return size
}

function programSize(field: string, expression: string): number {
  try {
    return RE2JS.compile(expression).programSize()
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    throw invalid(field, `[${shown(expression)}] is no expression of RE2 (${error.message.slice(0, 200)})`)
  }
}
const shown = (expression: string) => expression.slice(0, 80)

/** Which of the expressions match the whole text, by their place: all of them together cost about what one does. */
export function matcherOf(expressions: readonly string[]): (text: string) => readonly number[] {
  if (expressions.length === 0) return () => NONE
  const set = new RE2Set(RE2Set.ANCHOR_BOTH)
  for (const expression of expressions) set.add(expression)
  set.compile()
  return (text) => set.match(text)
}
const NONE: readonly number[] = []
