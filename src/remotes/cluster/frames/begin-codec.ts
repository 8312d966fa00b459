import { AppError } from '../../../core/errors.ts'
import { SYNC_PROTOCOL } from '../messages.ts'
import { otherProtocol } from '../other-protocol.ts'
import type { ByteReader } from './byte-reader.ts'
import { type ByteWriter, maxTextBytes } from './byte-writer.ts'
import type { BeginFrame, StreamBegin } from './frame.ts'
import { FRAME_NUMBER } from './frame-kinds.ts'
import { broken, MAX_JSON_BYTES } from './frame-limits.ts'
import { jsonObject } from './item-codec.ts'

/** Of a BEGIN. */
export const MOST_EARLIER_RUNS = 1_000

const STRATEGIES: readonly unknown[] = ['SKIP', 'OVERWRITE', 'FAST_FAIL'] satisfies StreamBegin['conflictStrategy'][]

/** Whatever a database keeps as it is, and a log line shows. */
const isText = (value: unknown): boolean =>
  typeof value === 'string' && value !== '' && value.length <= 256 && value.isWellFormed() && !/\p{Cc}/u.test(value)
const isNumber = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
/** `node.via_mark` is twice as large. */
const isRun = (value: unknown): boolean => isNumber(value) && (value as number) < 2 ** 48
const areRuns = (value: unknown): boolean =>
  Array.isArray(value) && value.length <= MOST_EARLIER_RUNS && value.every(isRun)
const isFlag = (value: unknown): boolean => typeof value === 'boolean'

const FIELDS: Readonly<Record<keyof StreamBegin, (value: unknown) => boolean>> = {
  protocol: isNumber,
  sourceId: isText,
  project: isText,
  repo: isText,
  epoch: isText,
  stream: isText,
  fence: isNumber,
  run: isRun,
  earlierRuns: (value) => value === undefined || areRuns(value),
  includeMetadata: isFlag,
  conflictStrategy: (value) => STRATEGIES.includes(value),
  stopAtFailure: isFlag,
  honourTombstones: isFlag,
  realTime: (value) => value === undefined || isFlag(value),
  fromProject: (value) => value === undefined || isText(value),
  fromRepo: (value) => value === undefined || isText(value),
  dryRun: (value) => value === undefined || isFlag(value),
}

export function writeBegin(writer: ByteWriter, { begin }: BeginFrame): number {
  const json = JSON.stringify(begin)
  writer.open(FRAME_NUMBER.begin, 0, maxTextBytes(json))
  writer.text(json)
  return writer.close(0)
}

/** @throws AppError CLUSTER_VERSION_UNSUPPORTED before anything else is looked at; ARTIFACT_BROKEN. */
export function readBegin(reader: ByteReader): BeginFrame {
  const begin = jsonObject(reader.json(MAX_JSON_BYTES), 'BEGIN')
  reader.done()
  if (isNumber(begin.protocol) && begin.protocol !== SYNC_PROTOCOL) {
    throw new AppError('CLUSTER_VERSION_UNSUPPORTED', otherProtocol('The source', [begin.protocol]), {})
  }
  for (const [name, fits] of Object.entries(FIELDS)) {
    if (!fits(begin[name])) throw broken(`BEGIN has no usable [${name}]`)
  }
  return { type: 'begin', begin: begin as unknown as StreamBegin }
}
