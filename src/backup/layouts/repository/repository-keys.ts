import { AppError } from '../../../core/errors.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { createKeyRing, type KeyRingDeps, type ListedSlot, type NewKey } from './key-ring.ts'
import type { Lease, LeaseRequest } from './lease.ts'
import { configOf, type Repositories, type Repository } from './repository.ts'
import { readConfig } from './repository-config.ts'

/** Passphrases of an encrypted repository (PRECONDITION_FAILED: it is not). Paths are those of `find`. */
export interface RepositoryKeys {
  /** With any passphrase, or none. */
  list(path: string, signal: AbortSignal): Promise<ListedSlot[]>
  /** @returns id of the slot. @throws AppError PERMISSION_DENIED (the configured passphrase), RESOURCE_EXISTED, FENCED. */
  add(path: string, key: NewKey, signal: AbortSignal): Promise<string>
  /** @throws AppError PERMISSION_DENIED, RESOURCE_NOT_FOUND, FENCED; DELETION_REFUSED when the configured passphrase opened none then. */
  remove(path: string, id: string, signal: AbortSignal): Promise<void>
}

export interface RepositoryKeysDeps extends KeyRingDeps {
  readonly locationAt: (path: string) => BackupLocation
  readonly passphrase: () => Promise<string | undefined>
  readonly lease: (location: BackupLocation, request: LeaseRequest, signal: AbortSignal) => Promise<Lease>
  readonly repositories: Pick<Repositories, 'open'>
}

/** A change of keys takes a second: who comes second waits for the first. */
const WAIT_MS = 10_000

export function createRepositoryKeys(deps: RepositoryKeysDeps): RepositoryKeys {
  const { ids, locationAt, passphrase, repositories } = deps

  async function opened(path: string, signal: AbortSignal): Promise<Repository & { readonly master: Buffer }> {
    const repository = await repositories.open(locationAt(path), signal)
    if (repository.master === undefined) throw notEncrypted(path)
    return repository as Repository & { readonly master: Buffer }
  }
  const lease = (path: string, signal: AbortSignal): Promise<Lease> =>
    deps.lease(locationAt(path), { kind: 'keys', runId: ids.key(), waitMs: WAIT_MS }, signal)

  return {
    async list(path, signal) {
      const location = locationAt(path)
      const { id, sealing } = readConfig(await configOf(location, signal))
      if (sealing === 'NONE') throw notEncrypted(path)
      return createKeyRing(location, id, deps).list(signal)
    },
    async add(path, key, signal) {
      const { keys, master } = await opened(path, signal)
      await using held = await lease(path, signal)
      const same = await keys.slotOf(key.passphrase, signal)
      if (same !== undefined) {
        throw new AppError(
          'RESOURCE_EXISTED',
          `Key ${same} of the backup repository opens with this passphrase already`,
        )
      }
      await held.check(signal)
      return await keys.add(master, key, signal)
    },
    async remove(path, id, signal) {
      const { keys } = await opened(path, signal)
      await using held = await lease(path, signal)
      // An encrypted one that is open was opened with it.
      await keys.remove(id, (await passphrase())!, held, signal)
    },
  }
}

const notEncrypted = (path: string): AppError =>
  new AppError('PRECONDITION_FAILED', `The backup repository in ${path} is not encrypted: it has no keys`)
