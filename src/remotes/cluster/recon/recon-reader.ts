import { isUtf8 } from 'node:buffer'
import { setImmediate } from 'node:timers/promises'
import { AppError } from '../../../core/errors.ts'
import type { Lanes } from '../../../core/lanes.ts'
import type { PathRange } from '../../../core/path-range.ts'
import {
  MAX_BOUND_BYTES,
  MAX_LIST,
  MAX_MESSAGE_BYTES,
  MAX_PATH_BYTES_IN_ALL,
  RECON_FLAGS,
  RECON_MODES,
  RECON_VERSION,
  type ReconMessage,
  type ReconPart,
  type RowLanes,
} from './recon-message.ts'

const KNOWN_FLAGS = RECON_FLAGS.metadata | RECON_FLAGS.partial
const FINGERPRINT_BYTES = 16
const ID_BYTES = 8
/** Numbers of a message are below 2^21: no length in it is larger. */
const VARINT_BYTES = 3
/** Read in about 3 ms; then whoever else waits has a turn. */
const BYTES_PER_TURN = 64 * 1024
const PARTS_PER_TURN = 1_024
/** Of paths, written in full: short messages may say long ones. */
const PATH_BYTES_PER_TURN = 1024 * 1024

/**
 * Reads a whole message; works and holds in proportion to its bytes. @param maxList paths of one list. @throws AppError
 * CLUSTER_VERSION_UNSUPPORTED for another version, REQUEST_CONTENT_INVALID for whatever else is not exactly such a message.
 */
export async function readReconMessage(bytes: Buffer, maxList = MAX_LIST): Promise<ReconMessage> {
  if (bytes.length > MAX_MESSAGE_BYTES) throw broken(`it has ${bytes.length} bytes, more than ${MAX_MESSAGE_BYTES}`)
  if (bytes.length < 2) throw broken('it ends too early')
  if (bytes[0] !== RECON_VERSION) {
    throw new AppError(
      'CLUSTER_VERSION_UNSUPPORTED',
      `Reconciliation version ${bytes[0]} is not known here, only ${RECON_VERSION}: upgrade the older cluster`,
      {},
    )
  }
  const flags = bytes[1]!
  if ((flags & ~KNOWN_FLAGS) !== 0) throw broken(`its flags ${flags} are not known`)
  const cursor = createCursor(bytes, maxList)
  const parts: ReconPart[] = []
  let lo: string | null = ''
  let read = 0
  let [pause, pathPause] = [BYTES_PER_TURN, PATH_BYTES_PER_TURN]
  while (!cursor.atEnd()) {
    if (cursor.place() > pause || cursor.pathBytes() > pathPause || ++read % PARTS_PER_TURN === 0) {
      pause = cursor.place() + BYTES_PER_TURN
      pathPause = cursor.pathBytes() + PATH_BYTES_PER_TURN
      await setImmediate()
    }
    if (lo === null) throw broken('something follows the end of all paths')
    const part = readPart(cursor, lo)
    lo = part.range.hi
    if (part.mode !== 'equal') parts.push(part)
  }
  const partial = (flags & RECON_FLAGS.partial) !== 0
  if (partial && (lo === '' || lo === null)) throw broken('it is partial, and of nothing or of everything')
  return {
    compared: (flags & RECON_FLAGS.metadata) === 0 ? 'content' : 'content+metadata',
    partial,
    reached: lo,
    parts,
  }
}

function readPart(cursor: Cursor, lo: string): ReconPart | { readonly mode: 'equal'; readonly range: PathRange } {
  const mode = cursor.byte()
  const range = () => ({ lo, hi: cursor.upper() })
  cursor.beginRange()
  switch (mode) {
    case RECON_MODES.equal:
      return { mode: 'equal', range: range() }
    case RECON_MODES.fingerprint: {
      const fingerprint = cursor.take(FINGERPRINT_BYTES)
      return { mode: 'fingerprint', fingerprint, range: range() }
    }
    case RECON_MODES.rows: {
      const rows = cursor.list(() => ({ path: cursor.path(), id: cursor.take(ID_BYTES) }))
      return { mode: 'rows', rows, range: range() }
    }
    case RECON_MODES.empty:
      return { mode: 'empty', range: range() }
    case RECON_MODES.question: {
      const paths = cursor.list(cursor.path)
      return { mode: 'question', paths, range: range() }
    }
    case RECON_MODES.lanes: {
      const rows = cursor.list(() => ({ path: cursor.path(), lanes: cursor.standing() }))
      return { mode: 'lanes', rows, range: range() }
    }
    default:
      throw broken(`its mode ${mode} is not known`)
  }
}

type Cursor = ReturnType<typeof createCursor>

function createCursor(bytes: Buffer, maxList: number) {
  let at = 2
  /** The path read last. */
  const last = Buffer.allocUnsafe(MAX_BOUND_BYTES)
  let lastLength = 0
  let pathBytes = 0
  /** A path may equal the one before it when that one is the bound where its range begins. */
  let mayRepeat = false

  function byte(): number {
    if (at >= bytes.length) throw broken('it ends too early')
    return bytes[at++]!
  }
  function varint(): number {
    let value = 0
    for (let index = 0; index < VARINT_BYTES; index++) {
      const next = byte()
      value |= (next & 0x7f) << (7 * index)
      if (next < 0x80) return value
    }
    throw broken('a number in it is too large')
  }
  function take(length: number): Buffer {
    if (at + length > bytes.length) throw broken('it ends too early')
    at += length
    return bytes.subarray(at - length, at)
  }
  /** Undefined: shared and own bytes are none. */
  function pathOrEnd(): string | undefined {
    const shared = varint()
    const added = varint()
    const [end, length] = [at + added, shared + added]
    if (end > bytes.length) throw broken('it ends too early')
    if (length === 0) return undefined
    if (shared > lastLength) throw broken('a path shares more than there is')
    if (length > MAX_BOUND_BYTES) throw broken(`a path in it is longer than ${MAX_BOUND_BYTES} bytes`)
    const order = bytes.compare(last, shared, lastLength, at, end)
    if (order < 0 || (order === 0 && !mayRepeat)) throw broken('its paths do not ascend')
    mayRepeat = false
    pathBytes += length
    if (pathBytes > MAX_PATH_BYTES_IN_ALL) throw broken('its paths are too long in all')
    bytes.copy(last, shared, at, end)
    at = end
    lastLength = length
    const text = last.toString('utf8', 0, length)
    // What is not UTF-8 is read as U+FFFD, which a path may hold as well.
    if (text.includes('\0') || (text.includes('\ufffd') && !isUtf8(last.subarray(0, length)))) {
      throw broken('a path in it is not UTF-8, or holds a zero byte')
    }
    return text
  }
  function path(): string {
    const found = pathOrEnd()
    if (found === undefined) throw broken('a path in it is empty')
    return found
  }
  function lanes(): Lanes {
    const four = take(16)
    return [four.readInt32BE(0), four.readInt32BE(4), four.readInt32BE(8), four.readInt32BE(12)]
  }

  return {
    atEnd: () => at >= bytes.length,
    place: () => at,
    pathBytes: () => pathBytes,
    byte,
    take,
    path,
    beginRange() {
      mayRepeat = true
    },
    upper(): string | null {
      mayRepeat = false
      return pathOrEnd() ?? null
    },
    list<T>(read: () => T): T[] {
      const items: T[] = []
      const count = varint()
      if (count > maxList) throw broken(`a list in it has more than ${maxList} paths`)
      while (items.length < count) items.push(read())
      return items
    },
    standing(): RowLanes | null {
      const is = byte()
      if (is > 1) throw broken(`a row stands as ${is}, which is not known`)
      return is === 0 ? null : { content: lanes(), metadata: lanes() }
    },
  }
}

const broken = (why: string): AppError =>
  new AppError('REQUEST_CONTENT_INVALID', `This is no message of reconciliation: ${why}`, {})
