import type { Clock } from '../../../core/clock.ts'
import { AppError } from '../../../core/errors.ts'
import type { Ids } from '../../../core/ids.ts'
import type { BackupLocation, StoredObject } from '../../../storage/backup-location.ts'
import { shown } from '../../../storage/object-name.ts'
import { readWhole } from './sealed-object.ts'

/** A lease that was not renewed for so long belongs to a process that is dead. */
export const STALE_MS = 30 * 60_000
const BEAT_MS = 4 * 60_000
/** Between looks at whether those in the way are gone. */
const LOOK_MS = 3_000

/** Shared: adds objects. Exclusive: removes them. Keys: changes the key slots, which concerns nobody who does either. */
export type LeaseKind = 'shared' | 'exclusive' | 'keys'

interface LeaseNote {
  /** Left: nobody has it; there may be whole objects that no index has. */
  readonly kind: LeaseKind | 'left'
  readonly runId: string
  readonly server: string
  /** ISO 8601, UTC, by the clock of whoever has it. */
  readonly since: string
}

/** A right to write to a repository, the same for all servers that share it. */
export interface Lease extends AsyncDisposable {
  /** Others have, or had, a lease: what they wrote may not be in an index. */
  readonly hasOthers: boolean
  /** Before what must not happen without the lease. @throws AppError FENCED when it is lost. */
  check(signal: AbortSignal): Promise<void>
  /** All that others had left is in an index: what told of it is removed. */
  removeStale(signal: AbortSignal): Promise<void>
  /** Whole objects that no index has stay behind: once it is disposed, it goes on telling of them, and is in nobody's way. */
  leave(): void
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
  const note: LeaseNote = { kind, runId, server, since: isoOf(clock.now()) }
  const giveUpAt = clock.now() + waitMs
  for (;;) {
    await location.put(name, bytesOf(note), signal)
    try {
      const others = await othersOf(location, name, signal)
      const inTheWay = others.filter(({ isStale, of }) => !isStale && excludes(kind, of?.kind))
      if (inTheWay.length === 0) {
        // Whoever had one of these and wakes up finds that it is lost. What it told of, the one that was just written tells.
        const ended = others.filter(({ isStale, of }) => isStale && excludes(kind, of?.kind))
        for (const { name: other } of ended) await location.delete(other, signal)
        return holding({ location, name, note, clock }, others, ended)
      }
      await location.delete(name, signal)
      if (clock.now() >= giveUpAt) throw busy(location, inTheWay[0]!)
    } catch (error) {
      await location.delete(name, AbortSignal.timeout(10_000)).catch(() => undefined)
      throw error
    }
    await clock.sleep(lookMs(name), signal)
  }
}

/** @param other undefined, or one that nobody knows: it may be any. */
function excludes(kind: LeaseKind, other: LeaseNote['kind'] | undefined): boolean {
  if (other === 'left') return false
  if (kind === 'keys') return other !== 'shared' && other !== 'exclusive'
  return other !== 'keys' && (kind === 'exclusive' || other !== 'shared')
}

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
  /** UTC epoch milliseconds, by the clock of the place. */
  readonly heardAt: number
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
      .map(async ({ name, modifiedAt }) => {
        const of = await noteOf(location, name, signal)
        return { name, isStale: of?.kind === 'left' || now - modifiedAt > STALE_MS, heardAt: modifiedAt, of }
      }),
  )
}

interface OwnLease {
  readonly location: BackupLocation
  readonly name: string
  readonly note: LeaseNote
  readonly clock: Clock
}

/** @param ended of the others, those that are removed. */
function holding(
  { location, name, note, clock }: OwnLease,
  others: readonly OtherLease[],
  ended: readonly OtherLease[],
): Lease {
  const stop = new AbortController()
  let isOwing = ended.some(({ of }) => of?.kind !== 'keys')
  let renewedAt = clock.now()
  const beating = beat()

  /** Others may have taken it for dead, and have the repository. */
  const isDead = (): boolean => clock.now() - renewedAt >= STALE_MS
  async function beat(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await clock.sleep(BEAT_MS, stop.signal)
        const at = clock.now()
        // One that somebody took for dead does not come back.
        if (isDead() || (await location.find(name, stop.signal)) === undefined) return
        await location.put(name, bytesOf(note), stop.signal)
        if (isDead()) return
        renewedAt = at
      } catch {
        // The next beat may come through; `check` tells when none did.
      }
    }
  }
  return {
    hasOthers: others.length > 0,
    async check(signal) {
      if ((await location.find(name, signal)) === undefined || isDead()) throw lost(location)
    },
    async removeStale(signal) {
      for (const { name: other, isStale } of others) if (isStale) await location.delete(other, signal)
      isOwing = false
    },
    leave() {
      isOwing = true
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await beating
      const signal = AbortSignal.timeout(10_000)
      if (!isOwing) return location.delete(name, signal)
      // On a full disk it stays what it is, and tells of them all the same.
      await location.put(name, bytesOf({ ...note, kind: 'left' }), signal).catch(() => undefined)
    },
  }
}

const bytesOf = (note: LeaseNote): Buffer => Buffer.from(`${JSON.stringify(note)}\n`)

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

const WORK: Readonly<Record<LeaseNote['kind'], string>> = {
  shared: 'backup',
  exclusive: 'prune',
  keys: 'change of keys',
  left: 'run that ended',
}

const isoOf = (ms: number): string => new Date(ms).toISOString()

function busy({ path }: BackupLocation, { name, heardAt, of }: OtherLease): AppError {
  const whose =
    of === undefined
      ? 'somebody whose lease cannot be read'
      : `a ${WORK[of.kind] ?? 'work'} of server [${shown(String(of.server))}] (run [${shown(String(of.runId))}]) since ${shown(String(of.since))}`
  const heard = `last heard of at ${isoOf(heardAt)}`
  const advice = `wait for its end; if its process is dead, others pass it over from ${isoOf(heardAt + STALE_MS)} on, or delete ${name} there`
  const message = `The backup repository in ${path} is in use by ${whose}, ${heard}: ${advice}`
  return new AppError('FENCED', message, {}, { retryable: true })
}
