import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { AppError } from '../../core/errors.ts'
import { chunksOf } from '../../core/pull-source.ts'
import type { RecordFile } from '../manifest/manifest.ts'
import type { RunFile, RunFiles } from './run-files.ts'

const CHUNK_BYTES = 256 * 1024
/** A longer line is no record: it would have to be held as a whole. */
const LONGEST_LINE_BYTES = 64 * 1024 * 1024
const NEW_LINE = 0x0a
/** Up to this much a file is read once, and held until it is checked. */
const HELD_BYTES = 8 * 1024 * 1024

/**
 * Lines of a record file. @param expected what the manifest says of it: all of it is checked before the first line, and again on the
 * way; undefined: nobody says. @throws AppError ARTIFACT_BROKEN.
 */
export async function* recordLines(
  files: RunFiles,
  file: RunFile,
  expected: RecordFile | undefined,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const read = async () => chunksOf(await files.open(file, signal), Math.min(CHUNK_BYTES, file.sizeBytes + 1), signal)
  if (expected === undefined) return yield* linesOf(await read(), file)
  if (file.sizeBytes !== expected.sizeBytes) {
    throw broken(file, `it has ${file.sizeBytes} bytes, and the manifest says ${expected.sizeBytes}`)
  }
  if (file.sizeBytes <= HELD_BYTES) {
    const held = await Array.fromAsync(checked(await read(), file, expected))
    return yield* linesOf(held, file)
  }
  for await (const _ of checked(await read(), file, expected));
  yield* linesOf(checked(await read(), file, expected), file)
}

/** The same chunks; throws at their end when they are not what the manifest says. */
export async function* checked(
  chunks: AsyncIterable<Buffer>,
  file: RunFile,
  { sizeBytes, sha256 }: RecordFile,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let length = 0
  for await (const chunk of chunks) {
    hash.update(chunk)
    length += chunk.length
    if (length > sizeBytes) break
    yield chunk
  }
  if (length !== sizeBytes || hash.digest('hex') !== sha256)
    throw broken(file, 'its bytes are not those of the manifest')
}

async function* linesOf(chunks: AsyncIterable<Buffer> | Iterable<Buffer>, file: RunFile): AsyncGenerator<string> {
  const text = (line: Buffer): string => {
    if (!isUtf8(line)) throw broken(file, 'it is not UTF-8')
    return line.toString()
  }
  let rest: Buffer[] = []
  let restBytes = 0
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(NEW_LINE); end >= 0; end = chunk.indexOf(NEW_LINE, from)) {
      const line = text(
        rest.length === 0 ? chunk.subarray(from, end) : Buffer.concat([...rest, chunk.subarray(from, end)]),
      )
      rest = []
      restBytes = 0
      from = end + 1
      if (line !== '' && line !== '\r') yield line.endsWith('\r') ? line.slice(0, -1) : line
    }
    if (from === chunk.length) continue
    rest.push(chunk.subarray(from))
    restBytes += chunk.length - from
    if (restBytes > LONGEST_LINE_BYTES) throw broken(file, `a line of it is longer than ${LONGEST_LINE_BYTES} bytes`)
  }
  if (rest.length > 0) yield text(Buffer.concat(rest))
}

const broken = ({ name }: RunFile, why: string): AppError =>
  new AppError('ARTIFACT_BROKEN', `Record file ${name} of the backup is damaged: ${why}`, { file: name })
