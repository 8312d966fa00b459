import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Options for `describe` or `it` of a test that needs a real client program, e.g. `describe('curl', needs('curl'), …)`. */
export interface Needs {
  readonly skip: string | false
}

/**
 * Skips with the reason when a program is missing on this machine.
 * @throws Error instead under `ENTREPOT_REQUIRE_ALL=1`, where nothing may be left out.
 */
export function needs(...programs: string[]): Needs {
  const missing = programs.filter((program) => findProgram(program) === undefined)
  return missing.length === 0 ? { skip: false } : leaveOut(`not installed on this machine: ${missing.join(', ')}`)
}

/** As `needs`, of programs that unpack and mount images, which other users may do on some machines only. */
export function needsAsRoot(...programs: string[]): Needs {
  const found = needs(...programs)
  return found.skip !== false || process.getuid?.() === 0
    ? found
    : leaveOut(`to be run as root: ${programs.join(', ')}`)
}

function leaveOut(reason: string): Needs {
  if (process.env.ENTREPOT_REQUIRE_ALL === '1') throw new Error(`${reason} (ENTREPOT_REQUIRE_ALL=1 forbids to skip)`)
  return { skip: reason }
}

/** Where a program is on this machine. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
