import { createHash } from 'node:crypto'
import { AppError } from '../../../core/errors.ts'
import type { RecordFile } from '../../manifest/manifest.ts'
import type { Entry } from './entry.ts'
import type { EntryReader } from './entry-reader.ts'
import { partEntry } from './record-needs.ts'
import type { Repository } from './repository.ts'

const NEW_LINE = 0x0a
/** Up to this much a file is read once, and held until it is checked. */
const HELD_BYTES = 16 * 1024 * 1024

/** Lines of a record file; all its parts are checked before the first. @throws AppError ARTIFACT_BROKEN. */
export async function* linesOfParts(
  repository: Repository,
  reader: EntryReader,
  file: RecordFile,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const entries = checkedParts(repository, file)
  const isHeld = file.sizeBytes <= HELD_BYTES
  const held: Buffer[] = []
  for (const entry of entries) {
    const part = await readPart(repository, reader, entry, file, signal)
    if (isHeld) held.push(part)
  }
  let rest = ''
  for (const [number, entry] of entries.entries()) {
    const part = held[number] ?? (await readPart(repository, reader, entry, file, signal))
    let from = 0
    for (let end = part.indexOf(NEW_LINE); end >= 0; end = part.indexOf(NEW_LINE, from)) {
      const line = rest + part.toString('utf8', from, end)
      if (line !== '') yield line
      rest = ''
      from = end + 1
    }
    rest += part.toString('utf8', from)
  }
  if (rest !== '') yield rest
}

/** Where the parts of a file are, in order. @throws AppError ARTIFACT_BROKEN when they are not those of the file. */
export function checkedParts(repository: Repository, { path, parts, sha256, sizeBytes }: RecordFile): Entry[] {
  const hash = createHash('sha256')
  for (const { id } of parts ?? []) hash.update(`${id}\n`)
  const bytes = (parts ?? []).reduce((total, part) => total + part.sizeBytes, 0)
  if (parts === undefined || bytes !== sizeBytes || hash.digest('hex') !== sha256) {
    throw broken(path, 'its parts are not those of the snapshot')
  }
  return parts.map((part) => {
    const entry = partEntry(repository, 'records', part.id)
    if (entry.plainBytes !== part.sizeBytes) throw broken(path, `part ${part.id} has another size`)
    return entry
  })
}

/** Encrypted, it opens as nothing else; else its sum is that of frames, so that its digest is computed, too. */
async function readPart(
  { master }: Repository,
  reader: EntryReader,
  entry: Entry,
  { path }: RecordFile,
  signal: AbortSignal,
): Promise<Buffer> {
  const part = await reader.read(entry, signal)
  if (master !== undefined || createHash('sha256').update(part).digest().equals(entry.key.subarray(0, 32))) return part
  throw broken(path, 'a part of it is not what its digest says')
}

const broken = (path: string, why: string): AppError =>
  new AppError('ARTIFACT_BROKEN', `Record file ${path} of the backup is damaged: ${why}`, { file: path })
