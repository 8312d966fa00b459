import { messageOf } from '../../core/errors.ts'

/** Readers of ambiguous documents differ in what they see, and their digest is the same. */
export interface StrictJson {
  readonly value?: unknown
  /** Why it is none; `value` is absent then. */
  readonly problem?: string
}

/** JSON in UTF-8 without a byte order mark, in which no object has a name twice. Pure. */
export function parseStrictJson(bytes: Buffer): StrictJson {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return { problem: 'it is not UTF-8' }
  }
  try {
    const value: unknown = JSON.parse(text)
    const twice = nameGivenTwice(text)
    return twice === undefined ? { value } : { problem: `the field ${twice.slice(0, 100)} comes twice in one object` }
  } catch (error) {
    return { problem: `it is not JSON: ${messageOf(error)}` }
  }
}

/** @param text valid JSON. */
function nameGivenTwice(text: string): string | undefined {
  /** Names of the objects that are open; undefined for arrays. */
  const open: (Set<string> | undefined)[] = []
  let isName = false
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
        open.push(new Set())
        isName = true
        break
      case '[':
        open.push(undefined)
        isName = false
        break
      case '}':
      case ']':
        open.pop()
        isName = false
        break
      case ',':
        isName = open.at(-1) !== undefined
        break
      case '"': {
        const end = endOfText(text, at)
        if (isName) {
          const name = JSON.parse(text.slice(at, end + 1)) as string
          const names = open.at(-1)!
          if (names.has(name)) return JSON.stringify(name)
          names.add(name)
          isName = false
        }
        at = end
        break
      }
    }
  }
  return undefined
}

function endOfText(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
}
