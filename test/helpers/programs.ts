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
  if (missing.length === 0) return { skip: false }
  const reason = `not installed on this machine: ${missing.join(', ')}`
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
