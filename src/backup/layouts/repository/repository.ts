import { AppError, hasCode } from '../../../core/errors.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { type IndexSet, openIndexSet, type TableCache } from './index-set.ts'
import { createKeyRing, type KeyRing, type KeyRingDeps, type Unlocked } from './key-ring.ts'
import { MASTER_KEY_BYTES } from './key-slot.ts'
import { brokenObject } from './object-seal.ts'
import { CONFIG, configBytes, type RepositoryConfig, readConfig } from './repository-config.ts'
import { hasRemains } from './repository-remains.ts'
import { MOST_SNAPSHOT_BYTES, openObject, readWhole, sealObject } from './sealed-object.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot, snapshotIdentity, snapshotName } from './snapshot-object.ts'

/** A repository that is open. */
export interface Repository {
  readonly location: BackupLocation
  readonly config: RepositoryConfig
  /** Undefined: it is not encrypted. */
  readonly master: Buffer | undefined
  readonly keys: KeyRing
  readonly index: IndexSet
  /** Names of all snapshots, `<name>-<yyyyMMdd.HHmmss>`. */
  snapshots(signal: AbortSignal): Promise<string[]>
  /** @throws AppError BLOB_UNKNOWN, ARTIFACT_BROKEN. */
  snapshot(name: string, signal: AbortSignal): Promise<Snapshot>
  /** @returns false when the name is taken. @throws AppError ARTIFACT_BROKEN when it could not be read back. */
  addSnapshot(name: string, snapshot: Snapshot, signal: AbortSignal): Promise<boolean>
}

export interface RepositoryDeps extends KeyRingDeps {
  /** Undefined: none is configured. */
  readonly passphrase: () => Promise<string | undefined>
}

/** Opens the repositories of a process; what was unlocked and read once is kept, and looked at again each time. */
export interface Repositories {
  /** @throws AppError ARTIFACT_BROKEN, PERMISSION_DENIED; BLOB_UNKNOWN: there is no repository. */
  open(location: BackupLocation, signal: AbortSignal): Promise<Repository>
  /** Makes it when there is none. @throws AppError PRECONDITION_FAILED when a passphrase is configured and it is not encrypted. */
  openToWrite(location: BackupLocation, signal: AbortSignal): Promise<Repository>
}

interface Kept {
  readonly config: Buffer
  readonly passphrase: string | undefined
  /** Undefined: it is not encrypted. */
  readonly unlocked: Unlocked | undefined
  readonly tables: TableCache
}
const MOST_KEPT = 4

export function createRepositories(deps: RepositoryDeps): Repositories {
  const { ids, random, passphrase } = deps
  /** By path, the last used at the end. */
  const kept = new Map<string, Kept>()

  async function open(location: BackupLocation, signal: AbortSignal): Promise<Repository> {
    const bytes = await configOf(location, signal)
    const config = readConfig(bytes)
    const keys = createKeyRing(location, config.id, deps)
    const known = kept.get(location.path)
    const secret = config.sealing === 'NONE' ? undefined : await passphrase()
    const isKnown =
      known?.config.equals(bytes) === true &&
      known.passphrase === secret &&
      (known.unlocked === undefined || (await keys.has(known.unlocked.id, signal)))
    const unlocked = isKnown ? known.unlocked : await unlock(location, config, keys, secret, signal)
    const entry = isKnown ? known : { config: bytes, passphrase: secret, unlocked, tables: new Map() }
    const master = unlocked?.master
    kept.delete(location.path)
    kept.set(location.path, entry)
    for (const path of kept.keys()) if (kept.size > MOST_KEPT) kept.delete(path)
    const index = await openIndexSet({ location, master, ids, random, cache: entry.tables }, signal)
    return repositoryOf(location, config, master, keys, index)
  }
  async function unlock(
    location: BackupLocation,
    { sealing }: RepositoryConfig,
    keys: KeyRing,
    secret: string | undefined,
    signal: AbortSignal,
  ): Promise<Unlocked | undefined> {
    if (sealing === 'NONE') return undefined
    if (secret !== undefined) return keys.unlock(secret, signal)
    throw new AppError(
      'PERMISSION_DENIED',
      `The backup repository in ${location.path} is encrypted and no passphrase is configured: set backup.passphrase`,
    )
  }
  function repositoryOf(
    location: BackupLocation,
    config: RepositoryConfig,
    master: Buffer | undefined,
    keys: KeyRing,
    index: IndexSet,
  ): Repository {
    return {
      location,
      config,
      master,
      keys,
      index,
      async snapshots(signal) {
        const names: string[] = []
        for await (const { name } of location.list('snapshots', signal)) names.push(name.slice('snapshots/'.length))
        return names.filter((name) => !name.includes('/')).sort()
      },
      async snapshot(name, signal) {
        const bytes = await readWhole(location, snapshotName(name), signal)
        return decodeSnapshot(openObject(snapshotIdentity(name, master), bytes))
      },
      async addSnapshot(name, snapshot, signal) {
        const bytes = encodeSnapshot(snapshot)
        // One that nobody could read would stop every prune.
        decodeSnapshot(bytes)
        const sealed = sealObject(snapshotIdentity(name, master), bytes, random.bytes(32))
        if (sealed.length > MOST_SNAPSHOT_BYTES)
          throw brokenObject(`snapshots/${name} would have ${sealed.length} bytes`)
        return location.putNew(snapshotName(name), sealed, signal)
      },
    }
  }
  async function make(location: BackupLocation, signal: AbortSignal): Promise<void> {
    for (const folder of ['data', 'index', 'snapshots']) {
      if ((await location.children(folder, signal)).length === 0) continue
      throw lostConfig(location)
    }
    const secret = await passphrase()
    const config: RepositoryConfig = { id: ids.key(), sealing: secret === undefined ? 'NONE' : 'AES-256-GCM' }
    // The config makes it a repository: whatever of this a dying process leaves opens nothing.
    const keys = createKeyRing(location, config.id, deps)
    const slot =
      secret === undefined ? undefined : await keys.add(random.bytes(MASTER_KEY_BYTES), { passphrase: secret }, signal)
    const isOurs = await location.putNew(CONFIG, configBytes(config), signal)
    if (!isOurs && slot !== undefined) await location.delete(`keys/${slot}`, signal)
  }
  return {
    open,
    async openToWrite(location, signal) {
      if ((await location.find(CONFIG, signal)) === undefined) await make(location, signal)
      const repository = await open(location, signal)
      if (repository.master === undefined && (await passphrase()) !== undefined) {
        throw new AppError(
          'PRECONDITION_FAILED',
          `The backup repository in ${location.path} was made without encryption, and backup.passphrase is set: back up to another place, which will be encrypted`,
        )
      }
      return repository
    },
  }
}

/** Bytes of the config. @throws AppError BLOB_UNKNOWN: there is no repository; ARTIFACT_BROKEN when there is one without it. */
export async function configOf(location: BackupLocation, signal: AbortSignal): Promise<Buffer> {
  try {
    return await readWhole(location, CONFIG, signal)
  } catch (error) {
    if (hasCode(error, 'BLOB_UNKNOWN') && (await hasRemains(location, signal))) throw lostConfig(location)
    throw error
  }
}

const lostConfig = (location: BackupLocation): AppError =>
  new AppError(
    'ARTIFACT_BROKEN',
    `The backup repository in ${location.path} has lost its config: take it from a copy, or use another place`,
  )
