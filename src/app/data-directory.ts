import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'

export interface DataDirectory {
  readonly path: string
  /** 32 hex digits; stays as long as the directory does. Tells this installation's leases from those of other nodes. */
  readonly installationId: string
  readonly keyFile: string
}

const FORMAT = 1
const OWNER_ONLY = 0o700

/**
 * Makes what is missing of the data directory and the directory of blobs. Safe when several processes start at once.
 * @throws AppError SYSTEM_ERROR when `installation.json` is damaged or of a later release.
 */
export async function openDataDirectory(path: string, blobs: string, ids: Ids): Promise<DataDirectory> {
  await mkdir(path, { recursive: true, mode: OWNER_ONLY })
  await mkdir(join(path, 'keys'), { recursive: true, mode: OWNER_ONLY })
  await mkdir(blobs, { recursive: true, mode: OWNER_ONLY })
  const file = join(path, 'installation.json')
  const installationId = (await readInstallation(file)) ?? (await makeInstallation(path, file, ids))
  return { path, installationId, keyFile: join(path, 'keys', 'secret.key') }
}

async function readInstallation(file: string): Promise<string | undefined> {
  let content: string
  try {
    content = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const { format, id } = parse(file, content)
  if (format !== FORMAT) throw damaged(file, `its format is ${format}, this release knows ${FORMAT}`)
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) throw damaged(file, 'its id is not 32 hex digits')
  return id
}

function parse(file: string, content: string): { readonly format?: unknown; readonly id?: unknown } {
  try {
    const value: unknown = JSON.parse(content)
    if (typeof value === 'object' && value !== null) return value
  } catch (cause) {
    throw damaged(file, 'it is not JSON', cause)
  }
  throw damaged(file, 'it is not a JSON object')
}

/** Written aside and linked, so that the name never shows half a file and the first of several processes wins. */
async function makeInstallation(folder: string, file: string, ids: Ids): Promise<string> {
  const id = ids.key()
  const draft = `${file}.${id}`
  try {
    await write(draft, `${JSON.stringify({ format: FORMAT, id })}\n`)
    await link(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(draft, { force: true })
  }
  await using opened = await open(folder, 'r')
  await opened.sync()
  return (await readInstallation(file)) ?? id
}

async function write(path: string, content: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  await file.writeFile(content)
  await file.sync()
}

const damaged = (file: string, why: string, cause?: unknown): AppError =>
  new AppError('SYSTEM_ERROR', `${file} cannot be used: ${why}`, { file }, { cause })
