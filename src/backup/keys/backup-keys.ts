import { invalid } from '../../core/errors.ts'
import type { ListedSlot } from '../layouts/repository/key-ring.ts'
import type { RepositoryLayout } from '../layouts/repository/repository-layout.ts'
import type { Places } from '../places/places.ts'
import { isLabel, readKeyRequest } from './new-key.ts'

/** A key slot, as people see it: never a secret. */
export interface BackupKey {
  readonly id: string
  /** UTC epoch milliseconds; null when the slot is damaged. */
  readonly createdAt: number | null
  readonly label: string | null
}

/**
 * Passphrases of encrypted backup repositories. Where there is no repository: PARAMETER_INVALID `location`; where it is not encrypted:
 * PRECONDITION_FAILED; where the server's passphrase does not open it: PERMISSION_DENIED.
 */
export interface BackupKeys {
  /** The oldest first. With any passphrase, or none: so that people see which they need. */
  list(location: string, signal: AbortSignal): Promise<BackupKey[]>
  /** Fields: `location`, `passphrase`, `label`. @returns id. @throws AppError RESOURCE_EXISTED, FENCED, or of `readKeyRequest`. */
  add(body: unknown, signal: AbortSignal): Promise<string>
  /** @throws AppError RESOURCE_NOT_FOUND, FENCED; DELETION_REFUSED for the last one and the server's own. */
  remove(location: string, id: string, signal: AbortSignal): Promise<void>
}

export interface BackupKeysDeps {
  readonly places: Pick<Places, 'resolveExisting'>
  readonly repository: Pick<RepositoryLayout, 'find' | 'keys'>
}

export function createBackupKeys({ places, repository }: BackupKeysDeps): BackupKeys {
  const { keys } = repository

  async function repositoryAt(location: string, signal: AbortSignal): Promise<string> {
    const path = await repository.find(await places.resolveExisting(location, 'location'), signal)
    if (path === undefined) throw invalid('location', 'no backup repository is there')
    return path
  }
  return {
    async list(location, signal) {
      const slots = await keys.list(await repositoryAt(location, signal), signal)
      return slots.map(shown).sort((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0))
    },
    async add(body, signal) {
      const { location, ...key } = readKeyRequest(body)
      return keys.add(await repositoryAt(location, signal), key, signal)
    },
    async remove(location, id, signal) {
      await keys.remove(await repositoryAt(location, signal), id, signal)
    },
  }
}

/** Whoever can write to the place can write these two: they are shown as far as they can be what we wrote. */
function shown({ id, createdDate = '', label = '' }: ListedSlot): BackupKey {
  const createdAt = Date.parse(createdDate)
  return {
    id,
    createdAt: Number.isNaN(createdAt) ? null : createdAt,
    label: label !== '' && isLabel(label) ? label : null,
  }
}
