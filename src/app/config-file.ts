import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { AppError, messageOf } from '../core/errors.ts'

const DEFAULT_NAME = 'entrepot.yaml'

export interface ConfigFile {
  readonly path: string
  /** By dotted key, e.g. `replication.leaseMs`. */
  readonly values: ReadonlyMap<string, unknown>
}

/**
 * @param named what `--config` says; otherwise `entrepot.yaml` in `cwd` is read if it is there.
 * @throws AppError PARAMETER_INVALID when a named file is not there, or a file is not a YAML map.
 */
export async function readConfigFile(cwd: string, named: string | undefined): Promise<ConfigFile | undefined> {
  const path = resolve(cwd, named ?? DEFAULT_NAME)
  let content: string
  try {
    content = await readFile(path, 'utf8')
  } catch (cause) {
    if (named === undefined && (cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw refuse(path, messageOf(cause), cause)
  }
  const document = parseDocument(content, { uniqueKeys: true, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) {
    // Only where and what kind: the parser's own words quote the file, which may hold secrets.
    const line = content.slice(0, error.pos[0]).split('\n').length
    throw refuse(path, `it is not YAML, line ${line}: ${error.code}`)
  }
  const root: unknown = document.toJS()
  if (root !== null && !isMap(root)) throw refuse(path, 'it is not a map of settings')
  return { path, values: new Map(flatten(root ?? {}, '')) }
}

function* flatten(map: Readonly<Record<string, unknown>>, prefix: string): Generator<[string, unknown]> {
  for (const [name, value] of Object.entries(map)) {
    if (isMap(value)) yield* flatten(value, `${prefix}${name}.`)
    else if (value !== null) yield [prefix + name, value]
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const refuse = (path: string, why: string, cause?: unknown): AppError =>
  new AppError('PARAMETER_INVALID', `${path} cannot be used: ${why}`, { path }, { cause })
