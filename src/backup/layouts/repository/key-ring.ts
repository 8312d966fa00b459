import type { Clock } from '../../../core/clock.ts'
import { AppError } from '../../../core/errors.ts'
import type { Ids, Random } from '../../../core/ids.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { type KeySlot, readSlot, type ScryptCost, unwrapKey, wrapKey } from './key-slot.ts'
import type { Lease } from './lease.ts'
import { isObjectId, readWhole } from './sealed-object.ts'

export interface KeyRingDeps {
  readonly clock: Clock
  readonly ids: Ids
  readonly random: Random
  readonly scryptCost: ScryptCost
}

/** A slot, as people see it. */
export interface ListedSlot {
  /** 32 hex digits. */
  readonly id: string
  /** Undefined: it is damaged. */
  readonly createdDate: string | undefined
  readonly label: string | undefined
}
export interface NewKey {
  readonly passphrase: string
  /** What people call it; stored as it is. */
  readonly label?: string | undefined
}
/** What a passphrase has opened, and the slot that it opened. */
export interface Unlocked {
  readonly id: string
  readonly master: Buffer
}

/** Passphrases of a repository: each unwraps the one master key. */
export interface KeyRing {
  /** @throws AppError PERMISSION_DENIED when no slot opens with it. */
  unlock(passphrase: string, signal: AbortSignal): Promise<Unlocked>
  /** Slot that a passphrase opens; undefined: none. */
  slotOf(passphrase: string, signal: AbortSignal): Promise<string | undefined>
  has(id: string, signal: AbortSignal): Promise<boolean>
  /** @returns id of the slot. */
  add(master: Buffer, key: NewKey, signal: AbortSignal): Promise<string>
  list(signal: AbortSignal): Promise<ListedSlot[]>
  /**
   * Under a lease of kind `keys`, so that no two remove the last ones at once.
   * @param passphrase has to open one of those that stay. @throws AppError DELETION_REFUSED when it does not; RESOURCE_NOT_FOUND.
   */
  remove(id: string, passphrase: string, lease: Pick<Lease, 'check'>, signal: AbortSignal): Promise<void>
}

interface StoredSlot {
  readonly id: string
  /** Undefined: it is damaged. */
  readonly slot: KeySlot | undefined
}

export function createKeyRing(location: BackupLocation, repositoryId: string, deps: KeyRingDeps): KeyRing {
  const { clock, ids, random, scryptCost } = deps

  async function slots(signal: AbortSignal): Promise<StoredSlot[]> {
    const found: string[] = []
    for await (const { name } of location.list('keys', signal)) {
      const id = name.slice('keys/'.length)
      if (isObjectId(id)) found.push(id)
    }
    return Promise.all(
      found.sort().map(async (id) => ({ id, slot: readSlot(await readWhole(location, `keys/${id}`, signal)) })),
    )
  }
  async function opened(
    all: readonly StoredSlot[],
    passphrase: string,
    signal: AbortSignal,
  ): Promise<Unlocked | undefined> {
    for (const { id, slot } of all) {
      signal.throwIfAborted()
      const master = slot === undefined ? undefined : await unwrapKey(slot, passphrase, repositoryId)
      if (master !== undefined) return { id, master }
    }
    return undefined
  }
  return {
    async unlock(passphrase, signal) {
      const all = await slots(signal)
      const unlocked = await opened(all, passphrase, signal)
      if (unlocked !== undefined) return unlocked
      const damaged = all.filter(({ slot }) => slot === undefined).length
      const why = damaged > 0 ? `${damaged} of its ${all.length} keys are damaged and the rest` : 'its keys'
      throw new AppError(
        'PERMISSION_DENIED',
        `The backup repository in ${location.path} stays closed: ${why} do not open with the configured passphrase; set backup.passphrase to one that was used for it`,
      )
    },
    slotOf: async (passphrase, signal) => (await opened(await slots(signal), passphrase, signal))?.id,
    has: async (id, signal) => (await location.find(`keys/${id}`, signal)) !== undefined,
    async add(master, { passphrase, label }, signal) {
      const id = ids.key()
      const createdDate = new Date(clock.now()).toISOString()
      const slot = await wrapKey(master, passphrase, repositoryId, { createdDate, label }, scryptCost, random)
      await location.put(`keys/${id}`, slot, signal)
      return id
    },
    async list(signal) {
      return (await slots(signal)).map(({ id, slot }) => ({ id, createdDate: slot?.createdDate, label: slot?.label }))
    },
    async remove(id, passphrase, lease, signal) {
      const all = await slots(signal)
      if (!all.some((slot) => slot.id === id)) {
        throw new AppError('RESOURCE_NOT_FOUND', `The backup repository has no key ${id}: list its keys`)
      }
      const others = all.filter((slot) => slot.id !== id)
      if (!others.some(({ slot }) => slot !== undefined)) {
        throw new AppError('DELETION_REFUSED', `Key ${id} is the only one of the backup repository: add another before`)
      }
      if ((await opened(others, passphrase, signal)) === undefined) {
        const what = `Key ${id} is the one that opens with the configured passphrase`
        const advice = 'set backup.passphrase to that of another key before, and restart the server'
        throw new AppError('DELETION_REFUSED', `${what}: ${advice}`)
      }
      await lease.check(signal)
      await location.delete(`keys/${id}`, signal)
    },
  }
}
