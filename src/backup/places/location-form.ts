import { posix, win32 } from 'node:path'
import { invalid } from '../../core/errors.ts'

/** Whose paths are meant: of Windows, or of everybody else. */
export type PathRules = 'posix' | 'win32'

/** A prefix of Windows paths and the folder of this server that stands for it, e.g. `F:\` and `/srv/backups`. */
export interface LocationMapping {
  readonly from: string
  readonly to: string
}

const MAX_CHARACTERS = 1024
const DRIVE = /^[a-z]:/i
const SEPARATORS = /[\\/]+/
/** What Windows keeps for itself, with any ending. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i
/** What no file of Windows may be called; a colon would name a stream of a file. */
const NOT_IN_WINDOWS_NAMES = /[<>:"|?*]|[. ]$/

export const isDeviceName = (name: string): boolean => DEVICE.test(name)

/**
 * The path that a location means on this machine, absolute, by its text alone (backup.md 7). A relative one is below `base`. Pure.
 * @throws AppError PARAMETER_INVALID naming `field`.
 */
export function readLocation(
  text: string,
  { rules, base, map }: { readonly rules: PathRules; readonly base: string; readonly map: readonly LocationMapping[] },
  field: string,
): string {
  const refuse = (why: string) => invalid(field, why)
  if (text.trim() === '') throw refuse('it is empty')
  if (text.length > MAX_CHARACTERS) throw refuse(`it is longer than ${MAX_CHARACTERS} characters`)
  if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) throw refuse('it holds a control character')
  if (text.startsWith('\\\\') || text.startsWith('//'))
    throw refuse('paths of the network and of devices are not taken')
  if (text.split(SEPARATORS).includes('..')) throw refuse('it holds ..')
  if (rules === 'win32') return readOnWindows(text, base, refuse)
  if (DRIVE.test(text)) return mapped(text, map, refuse)
  if (text.includes('\\')) throw refuse('it holds a backslash, which separates nothing on this server')
  return posix.resolve(base, text)
}

type Refuse = (why: string) => Error

function readOnWindows(text: string, base: string, refuse: Refuse): string {
  if (/^[\\/]/.test(text)) throw refuse('it names no drive')
  if (DRIVE.test(text) && !/^[a-z]:[\\/]/i.test(text)) throw refuse('a drive needs a backslash after it')
  const names = segmentsOf(DRIVE.test(text) ? text.slice(2) : text)
  const wrong = names.find((name) => isDeviceName(name) || NOT_IN_WINDOWS_NAMES.test(name))
  if (wrong !== undefined) throw refuse(`[${wrong.slice(0, 80)}] is no name of a folder or file`)
  return win32.resolve(base, text)
}

/** By the longest prefix that fits; Windows knows no case. */
function mapped(text: string, map: readonly LocationMapping[], refuse: Refuse): string {
  const segments = segmentsOf(text)
  const fitting = map
    .map(({ from, to }) => ({ prefix: segmentsOf(from), to }))
    .filter(({ prefix }) => prefix.every((name, index) => sameName(name, segments[index])))
    .sort((a, b) => b.prefix.length - a.prefix.length)[0]
  if (fitting === undefined) throw refuse('it is a path of Windows, which the setting backup.locationMap does not name')
  return posix.resolve(fitting.to, ...segments.slice(fitting.prefix.length))
}

const segmentsOf = (text: string): string[] => text.split(SEPARATORS).filter((name) => name !== '' && name !== '.')

const sameName = (one: string, other: string | undefined): boolean => one.toLowerCase() === other?.toLowerCase()

/** Whether a path is a root or below it, segment by segment. Both absolute. Pure. */
export function isInside(path: string, root: string, rules: PathRules): boolean {
  const { relative, isAbsolute, sep } = rules === 'win32' ? win32 : posix
  const way = relative(root, path)
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way))
}
