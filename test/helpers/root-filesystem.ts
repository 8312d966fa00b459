import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import type { TarFile } from './tar-files.ts'

const SHELL = '/bin/sh'

/** A shell of this machine with the libraries that it needs: the smallest image in which a build runs commands. Linux. */
export function shellFiles(): readonly TarFile[] {
  const libraries = execFileSync('ldd', [SHELL], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
  return [SHELL, ...libraries].map((path) => ({
    ...{ name: path.slice(1), sizeBytes: statSync(path).size, executable: true },
    content: () => [readFileSync(path)],
  }))
}
