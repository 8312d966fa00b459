import type { Clock } from '../../../core/clock.ts'
import { AppError } from '../../../core/errors.ts'
import type { Ids } from '../../../core/ids.ts'
import type { BackupLocation, StoredObject } from '../../../storage/backup-location.ts'
import { readWhole } from './sealed-object.ts'

/** A lease that was not renewed for so long belongs to a process that is dead. */
export const STALE_MS = 30 * 60_000
const BEAT_MS = 4 * 60_000
/** Between looks at whether those in the way are gone. */
const LOOK_MS = 3_000

/** Shared: adds objects. Exclusive: removes them. Keys: changes the key slots, which concerns nobody who does either. */
export type LeaseKind = 'shared' | 'exclusive' | 'keys'

interface LeaseNote {
  readonly kind: LeaseKind
  readonly runId: string
  readonly server: string
}

/** A right to write to a repository, the same for all servers that share it. */
export interface Lease extends AsyncDisposable {
  /** Others have, or had, a lease: what they wrote may not be in an index. */
  readonly hasOthers: boolean
  /** Before what must not happen without the lease. @throws AppError FENCED when it is lost. */
  check(signal: AbortSignal): Promise<void>
  /** Leases that were not renewed any more when this one was taken are removed. */
  removeStale(signal: AbortSignal): Promise<void>
}

export interface LeaseDeps {
  readonly clock: Clock
  readonly ids: Ids
  /** For people: who has it. */
  readonly server: string
}
export interface LeaseRequest {
  readonly kind: LeaseKind
  readonly runId: string
  /** How long to wait for those in the way. */
  readonly waitMs: number
}

/** @throws AppError FENCED, retryable, when others have the repository. */
export async function takeLease(
  location: BackupLocation,
  request: LeaseRequest,
  { clock, ids, server }: LeaseDeps,
  signal: AbortSignal,
): Promise<Lease> {
  const name = `locks/${ids.key()}`
  const { kind, runId, waitMs } = request
  const note = Buffer.from(`${JSON.stringify({ kind, runId, server } satisfies LeaseNote)}\n`)
  const giveUpAt = clock.now() + waitMs
  for (;;) {
    await location.put(name, note, signal)
    try {
      const others = await othersOf(location, name, signal)
      const inTheWay = others.filter(({ isStale, of }) => !isStale && excludes(kind, of?.kind))
      if (inTheWay.length === 0) return holding(location, name, note, others, clock)
      await location.delete(name, signal)
      if (clock.now() >= giveUpAt) throw busy(location, inTheWay[0]!.of)
    } catch (error) {
      await location.delete(name, AbortSignal.timeout(10_000)).catch(() => undefined)
      throw error
    }
    await clock.sleep(lookMs(name), signal)
  }
}

/** @param other undefined, or one that nobody knows: it may be any. */
const excludes = (kind: LeaseKind, other: LeaseKind | undefined): boolean =>
  kind === 'keys'
    ? other !== 'shared' && other !== 'exclusive'
    : other !== 'keys' && (kind === 'exclusive' || other !== 'shared')

/** Two who stand in each other's way look again at different times. */
const lookMs = (name: string): number => LOOK_MS * (1 + Number.parseInt(name.slice(-2), 16) / 0xff)

/** After the process of a run died: its leases of a kind. */
export async function removeLeases(
  location: BackupLocation,
  runId: string,
  kind: LeaseKind,
  signal: AbortSignal,
): Promise<void> {
  for await (const { name } of location.list('locks', signal)) {
    const note = await noteOf(location, name, signal)
    if (note?.runId === runId && note.kind === kind) await location.delete(name, signal)
  }
}

interface OtherLease {
  readonly name: string
  readonly isStale: boolean
  /** Undefined: it cannot be read; whoever has it may be removing. */
  readonly of: LeaseNote | undefined
}

/** Ages are by the clock of the place: that of the lease which was written a moment ago. */
async function othersOf(location: BackupLocation, own: string, signal: AbortSignal): Promise<OtherLease[]> {
  const all: StoredObject[] = []
  for await (const object of location.list('locks', signal)) all.push(object)
  const now = all.find(({ name }) => name === own)?.modifiedAt
  if (now === undefined) throw lost(location)
  return Promise.all(
    all
      .filter(({ name }) => name !== own)
      .map(async ({ name, modifiedAt }) => ({
        name,
        isStale: now - modifiedAt > STALE_MS,
        of: await noteOf(location, name, signal),
      })),
  )
}

function holding(
  location: BackupLocation,
  name: string,
  note: Buffer,
  others: readonly OtherLease[],
  clock: Clock,
): Lease {
  const stop = new AbortController()
  let renewedAt = clock.now()
  const beating = beat()

  async function beat(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await clock.sleep(BEAT_MS, stop.signal)
        // One that somebody took for dead does not come back.
        if ((await location.find(name, stop.signal)) === undefined) return
        await location.put(name, note, stop.signal)
        renewedAt = clock.now()
      } catch {
        // The next beat may come through; `check` tells when none did.
      }
    }
  }
  return {
    hasOthers: others.length > 0,
    async check(signal) {
      const isRenewed = clock.now() - renewedAt < STALE_MS
      if (!isRenewed || (await location.find(name, signal)) === undefined) throw lost(location)
    },
    async removeStale(signal) {
      for (const { name: other, isStale } of others) if (isStale) await location.delete(other, signal)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await beating
      await location.delete(name, AbortSignal.timeout(10_000))
    },
  }
}

async function noteOf(location: BackupLocation, name: string, signal: AbortSignal): Promise<LeaseNote | undefined> {
  try {
    return JSON.parse((await readWhole(location, name, signal)).toString()) as LeaseNote
  } catch {
    return undefined
  }
}

const lost = (location: BackupLocation): AppError =>
  new AppError(
    'FENCED',
    `The lease on the backup repository in ${location.path} was lost: start the run again`,
    {},
    { retryable: true },
  )

const WORK: Readonly<Record<LeaseKind, string>> = { shared: 'backup', exclusive: 'prune', keys: 'change of keys' }

const busy = (location: BackupLocation, by: LeaseNote | undefined): AppError =>
  new AppError(
    'FENCED',
    `The backup repository in ${location.path} is in use by ${by?.server ?? 'another server'} (${by === undefined ? 'unknown' : WORK[by.kind]}): try again later`,
    {},
    { retryable: true },
  )
