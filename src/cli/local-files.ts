import { readdir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { messageOf } from '../core/errors.ts'
import { CliFailure, EXIT } from './cli-failure.ts'

/** A file on this machine and the path it shall have below the destination. */
export interface LocalFile {
  readonly file: string
  /** With `/`, without one at the front. */
  readonly path: string
  readonly sizeBytes: number
}

/** Files among `sources`, folders with all below them. Symbolic links are followed to files; those that lead to folders or nowhere are left out. @throws CliFailure. */
export async function localFiles(sources: readonly string[]): Promise<LocalFile[]> {
  const found: LocalFile[] = []
  for (const source of sources) {
    try {
      const about = await stat(source)
      if (about.isDirectory()) await collect(source, basename(resolve(source)), found)
      else found.push({ file: source, path: basename(source), sizeBytes: about.size })
    } catch (error) {
      throw new CliFailure(`Cannot read ${source}: ${messageOf(error)}`, EXIT.usage)
    }
  }
  return found
}

async function collect(directory: string, path: string, found: LocalFile[]): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const [file, below] = [join(directory, entry.name), `${path}/${entry.name}`]
    if (entry.isDirectory()) await collect(file, below, found)
    else {
      // A link that leads nowhere has no bytes.
      const about = entry.isSymbolicLink() ? await stat(file).catch(() => undefined) : await stat(file)
      if (about?.isFile()) found.push({ file, path: below, sizeBytes: about.size })
    }
  }
}
