/** Where a version stands among those of its package. */
export interface VersionOrder {
  /** Texts whose order as bytes is the order of the versions; equal for versions of equal rank. At most 3 × the name + 20 bytes. */
  readonly ordinal: string
  /** A prerelease is `latest` only when there is nothing else. */
  readonly prerelease: boolean
}

const SEMVER = /^[vV]?(\d+\.\d+\.\d+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?$/
const NUMBERED = /^[vV]?(\d+(?:\.\d+)*)(.*)$/s
const TOKENS = /\d+|\p{L}+/gu
/** What stands after the number of something that comes before it: Maven, PyPI, Ruby and Linux distributions write it so. */
const BEFORE: ReadonlySet<string> = new Set(
  'a alpha b beta c cr rc dev m milestone pre preview snapshot nightly canary next eap ea'.split(' '),
)
const SAME: ReadonlySet<string> = new Set(['final', 'ga', 'release', 'v'])

/** What follows the numbers: `1.0-rc` < `1.0` < `1.0-sp1` < `1.0.1`. */
const SUFFIX = { before: '1', same: '2', after: '3' } as const
const NEXT_NUMBER = '5'
const END = '0'

/**
 * The order of semver.org for what is written that way, and the one that people expect for the rest: numbers as numbers, missing ones
 * as 0 (`1.2` = `1.2.0`), `1.0.rc1` and `1.0-SNAPSHOT` before `1.0`, `1.0.post1` after it, words by the alphabet. Names without a number at their
 * beginning (`nightly`) come before all others.
 */
export function semanticOrder(name: string): VersionOrder {
  const strict = SEMVER.exec(name)
  if (strict !== null) {
    const [, numbers = '', prerelease] = strict
    const suffix = prerelease === undefined ? SUFFIX.same : SUFFIX.before + identifiers(prerelease)
    return { ordinal: `1${core(numbers)}${suffix}`, prerelease: prerelease !== undefined }
  }
  const numbered = NUMBERED.exec(name)
  if (numbered === null) return { ordinal: `0${tokens(name.toLowerCase().match(TOKENS) ?? [])}`, prerelease: true }
  const [, numbers = '', rest = ''] = numbered
  const words = rest.toLowerCase().match(TOKENS) ?? []
  const kind = suffixOf(words)
  const said = kind === 'same' ? '' : tokens(words)
  return { ordinal: `1${core(numbers)}${SUFFIX[kind]}${said}`, prerelease: kind === 'before' }
}

/** By the time it was first there: tags of images. @param createdAt UTC epoch milliseconds. */
export function creationOrder(_name: string, createdAt: number): VersionOrder {
  return { ordinal: String(createdAt).padStart(16, '0'), prerelease: false }
}

function suffixOf(words: readonly string[]): keyof typeof SUFFIX {
  const first = words[0]
  if (first === undefined) return 'same'
  if (BEFORE.has(first) || words.includes('snapshot')) return 'before'
  return SAME.has(first) && words.length === 1 ? 'same' : 'after'
}

/** `1.2.0` → 1 and 2: zeros at the end say nothing. */
const core = (numbers: string): string =>
  numbers
    .replace(/(\.0+)+$/, '')
    .split('.')
    .map((number) => NEXT_NUMBER + ranked(number))
    .join('')

/** semver.org 11.4: numbers as numbers and before words, words as ASCII, fewer before more. */
const identifiers = (prerelease: string): string =>
  prerelease
    .split('.')
    .map((part) => (/^\d+$/.test(part) ? `1${ranked(part)}` : `2${part}!`))
    .join('') + END

const tokens = (words: readonly string[]): string =>
  words.map((word) => (/^\d/.test(word) ? `1${ranked(word)}` : `2${word}!`)).join('') + END

/** Digits behind their count, so that texts compare as the numbers do: 9 → `b9`, 10 → `c10`. */
function ranked(digits: string): string {
  const number = digits.replace(/^0+(?=\d)/, '')
  const { length } = number
  return (length < 25 ? String.fromCharCode(0x61 + length) : `z${String(length).padStart(3, '0')}`) + number
}
