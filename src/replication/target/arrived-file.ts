import type { FileWrite } from '../../artifacts/nodes/node-writer.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { type Hlc, type HlcClock, hlcMs, parseHlc } from '../../core/hlc.ts'
import { checkMetadata } from '../../core/metadata.ts'
import type { FileEntry } from '../../remotes/cluster/messages.ts'
import { checkedDigest, checkedPath } from './checked.ts'

/** A file of a batch, judged by itself: what is wrong with one of them is no reason to refuse the others. */
export interface ArrivedFile {
  readonly entry: FileEntry
  readonly write: FileWrite
}
export interface Refused {
  readonly refused: string
}

/** A source whose clock runs further ahead than this would win every later conflict (sync.md B.6). */
const MAX_SKEW_MS = 5 * 60_000

export function arrivedFile(
  entry: FileEntry,
  from: { readonly via: number; readonly mark: number; readonly origin: number },
  clock: { readonly now: number; readonly hlc: HlcClock },
): ArrivedFile | Refused {
  try {
    const stamp = checkedStamp(entry, clock.now)
    const write = writeOf(entry, stamp, from)
    clock.hlc.observe(stamp)
    return { entry, write }
  } catch (error) {
    if (error instanceof AppError) return { refused: error.message }
    throw error
  }
}

function checkedStamp({ hlc: text }: FileEntry, now: number): Hlc {
  const hlc = parseHlc(text)
  if (hlc === undefined) throw invalid('hlc')
  const aheadMs = hlcMs(hlc) - now
  if (aheadMs <= MAX_SKEW_MS) return hlc
  const seconds = Math.round(aheadMs / 1000)
  throw new AppError('TASK_FAILED', `it is dated ${seconds} s in the future: set the clocks of both clusters`, {})
}

function writeOf(entry: FileEntry, hlc: Hlc, from: { via: number; mark: number; origin: number }): FileWrite {
  return {
    path: checkedPath(entry.path),
    digest: checkedDigest(entry.sha256),
    sizeBytes: entry.sizeBytes,
    md5: entry.md5 ?? undefined,
    metadata: checkMetadata(entry.metadata ?? []),
    expiresAt: entry.expiresAt ?? undefined,
    createdBy: entry.createdBy,
    createdAt: entry.createdAt,
    modifiedBy: entry.modifiedBy,
    modifiedAt: entry.modifiedAt,
    origin: from.origin,
    hlc,
    viaLink: from.via,
    viaMark: from.mark,
  }
}
