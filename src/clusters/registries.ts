import type { Secrets } from '../auth/secrets.ts'
import type { Clock } from '../core/clock.ts'
import { AppError, messageOf } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import type { Reader, Transaction } from '../metadata/database.ts'
import {
  type ClusterRow,
  deleteCluster,
  findClusterByName,
  insertCluster,
  updateCluster,
} from '../metadata/replication/clusters.ts'
import { forgetUploadsTo } from '../metadata/replication/pushed-uploads.ts'
import { forgetRegistry } from '../metadata/replication/pushed-versions.ts'
import { NOT_YET, passwordPlace } from './clusters.ts'

/** What a configuration says of its registry, once it was tried: the address is resolved. */
export interface RegistryChange {
  readonly url: string
  readonly username: string | undefined
  /** Undefined: the stored one, as long as address and user stay. */
  readonly password: string | undefined
  readonly certificate: string | undefined
  /** It answered. */
  readonly isReached: boolean
}

/** Registries of others: cluster nodes of type REMOTE, one for each configuration of a distribution (replication.md 4.1). */
export interface Registries {
  find(reader: Reader, name: string): Promise<ClusterRow | undefined>
  /** Makes the node, or changes it. @throws AppError CLUSTER_EXISTED when another kind of cluster has that name. */
  put(
    trx: Transaction,
    name: string,
    change: RegistryChange,
    userId: string,
  ): Promise<{ readonly id: string; readonly name: string }>
  /** Missing is fine. */
  remove(trx: Transaction, name: string): Promise<void>
  /** As stored, for a try with what a change leaves out. */
  passwordOf(row: ClusterRow): string | undefined
}

const withoutScheme = (url: string): string => url.replace(/^https?:/, '')

/** A stored password goes only where it was meant for: to that address, and never in plain text where it went with TLS. */
export function isSameRegistry(known: string, given: string): boolean {
  const isPlainNow = known.startsWith('https:') && given.startsWith('http:')
  return withoutScheme(known) === withoutScheme(given) && !isPlainNow
}

interface RegistriesDeps {
  readonly clock: Clock
  readonly ids: Ids
  readonly secrets: Secrets
}

export function createRegistries({ clock, ids, secrets }: RegistriesDeps): Registries {
  function passwordOf({ id, name, password }: ClusterRow): string | undefined {
    if (password === null) return undefined
    try {
      return secrets.decrypt(password, passwordPlace(id))
    } catch (cause) {
      const message = `remote cluster [${name}] connect error: its password cannot be read; ${messageOf(cause)}. Give it again`
      throw new AppError('CLUSTER_CONNECT_ERROR', message, { cluster: name }, { cause })
    }
  }
  const named = async (reader: Reader, name: string): Promise<ClusterRow | undefined> => {
    const row = await findClusterByName(reader, name)
    return row?.type === 'REMOTE' ? row : undefined
  }

  return {
    find: named,
    passwordOf,

    async put(trx, name, { url, username, password, certificate, isReached }, userId) {
      const known = await named(trx, name)
      const id = known?.id ?? ids.id()
      const now = clock.now()
      const stays = known !== undefined && known.url === url && known.username === (username ?? null)
      const columns = {
        url,
        username: username ?? null,
        password:
          password === undefined ? (stays ? known.password : null) : secrets.encrypt(password, passwordPlace(id)),
        certificate: certificate ?? null,
        status: isReached ? 'HEALTHY' : 'UNHEALTHY',
        error_reason: isReached ? null : NOT_YET.PING,
        checked_at: isReached ? now : null,
        modified_by: userId,
        modified_at: now,
      }
      if (known !== undefined) {
        await updateCluster(trx, id, columns)
        if (known.url !== url) await forgetRegistry(trx, id)
      } else {
        const made = await insertCluster(trx, {
          ...{ id, name, type: 'REMOTE', detect_type: 'PING', ...columns },
          ...{ app_id: null, access_key: null, secret_key: null, udp_port: null, peer_id: null, rate_limit: null },
          ...{ created_by: userId, created_at: now },
        })
        if (!made) throw new AppError('CLUSTER_EXISTED', `cluster node [${name}] is existed`, { name })
      }
      return { id, name }
    },

    async remove(trx, name) {
      const known = await named(trx, name)
      if (known === undefined) return
      await forgetUploadsTo(trx, known.id)
      await deleteCluster(trx, known.id)
    },
  }
}
