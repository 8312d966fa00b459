import type { DetectType } from '../../clusters/cluster.ts'
import { NOT_YET, passwordPlace, secretKeyPlace } from '../../clusters/clusters.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { lockClusters, pageClustersById } from '../../metadata/backup/replication-rows.ts'
import type { Transaction } from '../../metadata/database.ts'
import { type ClusterRow, insertCluster, listClusters, updateCluster } from '../../metadata/replication/clusters.ts'
import { forgetRegistry } from '../../metadata/replication/pushed-versions.ts'
import { COMMON_FILES } from '../records/record-files.ts'
import type { RestoreRun } from '../restore/restore-run.ts'
import { type ClusterRecord, clusterIn, documentOfCluster } from './cluster-records.ts'
import type { CommonFile } from './common-file.ts'
import { byKey, type CommonFilesDeps } from './common-parts.ts'
import { type BatchOutcome, createTally, inBatches } from './record-batches.ts'

const file = COMMON_FILES.cluster

/**
 * Clusters by name, registries of distributions and imports among them. Ids are given anew, so secrets are encrypted anew for their
 * place. A CENTER that is here is never touched. Whether one answers is found out again.
 */
export function createClustersFile({
  db,
  ids,
  carrier,
  parseTime,
}: Pick<CommonFilesDeps, 'db' | 'ids' | 'carrier' | 'parseTime'>): CommonFile {
  /** A secret that cannot be opened stays what it is here, as long as it would go to the same address and login. */
  function secretOf(packed: string | null, place: string, stored: string | null) {
    if (packed === null) return { secret: null, isLost: false }
    const secret = carrier.unpack(packed, place)
    return secret === undefined ? { secret: stored, isLost: stored === null } : { secret, isLost: false }
  }

  /** @returns names of the secrets it is restored without. */
  async function put(trx: Transaction, record: ClusterRecord, stored: ClusterRow | undefined): Promise<string[]> {
    const id = stored?.id ?? ids.id()
    const { url, username, accessKey, certificate, appId, rateLimit, detectType } = record
    const stays = stored?.url === url && stored.username === username && stored.access_key === accessKey
    const password = secretOf(record.password, passwordPlace(id), stays ? stored.password : null)
    const secretKey = secretOf(record.secretKey, secretKeyPlace(id), stays ? stored.secret_key : null)
    const columns = {
      ...{ url, username, certificate, app_id: appId, access_key: accessKey },
      ...{ password: password.secret, secret_key: secretKey.secret, rate_limit: rateLimit, detect_type: detectType },
      ...{ modified_by: record.modifiedBy, modified_at: record.modifiedAt },
    }
    const unknown = { status: 'UNHEALTHY', error_reason: NOT_YET[detectType as DetectType], checked_at: null }
    if (stored === undefined) {
      await insertCluster(trx, {
        ...{ id, name: record.name, type: record.type, ...columns, ...unknown },
        ...{ udp_port: null, peer_id: null, created_by: record.createdBy, created_at: record.createdAt },
      })
    } else {
      const isSame = stays && stored.detect_type === detectType && stored.certificate === certificate
      await updateCluster(trx, id, { ...columns, ...(!isSame && unknown) })
      if (stored.type === 'REMOTE' && stored.url !== url) await forgetRegistry(trx, id)
    }
    return [...(password.isLost ? ['password'] : []), ...(secretKey.isLost ? ['secretKey'] : [])]
  }

  /** Clusters are few, so that each is written by itself. */
  const apply = async (run: RestoreRun, records: readonly ClusterRecord[]): Promise<BatchOutcome> => {
    const { outcome, without } = await db.transact(async (trx) => {
      const known = await lockClusters(
        trx,
        records.map(({ name }) => name),
      )
      const [center] = await listClusters(trx, { type: 'CENTER' })
      let centerName = center?.name
      const tally = createTally()
      const without: { readonly name: string; readonly secrets: readonly string[] }[] = []
      for (const record of records) {
        const { name, type } = record
        const stored = known.get(name)
        if (stored !== undefined && (run.onConflict === 'SKIP' || (stored.type === 'CENTER' && type === 'CENTER'))) {
          tally.skipped()
        } else if (stored !== undefined && stored.type !== type) {
          tally.fail(name, invalid('type', `[${name}] is ${stored.type} here, which stays`))
        } else if (stored === undefined && type === 'CENTER' && centerName !== undefined) {
          tally.fail(name, secondCenter(centerName))
        } else {
          const secrets = await put(trx, record, stored)
          if (secrets.length > 0) without.push({ name, secrets })
          if (type === 'CENTER') centerName = name
          tally.restored()
        }
      }
      return { outcome: tally.outcome(), without }
    })
    for (const { name, secrets } of without) {
      run.warn(
        `cluster [${name}] is restored without its ${secrets.join(' and ')}: it was encrypted with another key; enter it again`,
      )
    }
    return outcome
  }

  const packedOf = (stored: string | null, place: string) => (stored === null ? null : carrier.pack(stored, place))
  return {
    path: file,
    async *read(reader, signal) {
      const source = { reader, first: '', keyOf: ({ id }: ClusterRow) => id }
      for await (const rows of byKey(pageClustersById, source, signal)) {
        yield* rows.map((row) =>
          documentOfCluster(row, {
            password: packedOf(row.password, passwordPlace(row.id)),
            secretKey: packedOf(row.secret_key, secretKeyPlace(row.id)),
          }),
        )
      }
    },
    restoring: (run) => ({
      beforeRepositories: inBatches<ClusterRecord>(run, {
        file,
        nameField: 'name',
        read: (fields) => clusterIn(fields, parseTime),
        keyOf: ({ name }) => name,
        apply: (records) => apply(run, records),
      }),
    }),
  }
}

const secondCenter = (name: string) =>
  new AppError('CLUSTER_CENTER_EXISTED', `cluster center node is existed: [${name}]`, { name })
