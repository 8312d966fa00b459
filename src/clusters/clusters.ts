import type { Secrets } from '../auth/secrets.ts'
import type { Clock } from '../core/clock.ts'
import { mapConcurrent } from '../core/concurrency.ts'
import { AppError, invalid, messageOf } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import {
  type ClusterFilter,
  type ClusterRow,
  deleteCluster,
  findClusterById,
  findClusterByName,
  findDistributionTo,
  findEnabledTaskOfCluster,
  insertCluster,
  listClusters,
  notePeerOf,
  pageClusters,
  updateCluster,
} from '../metadata/replication/clusters.ts'
import { deleteEdgeRows, findEdgeReport, listReportTimes } from '../metadata/replication/edge-reports.ts'
import type { KeyPair } from '../remotes/transport/credentials.ts'
import type { OpenWay } from '../remotes/transport/http-client.ts'
import { type Cluster, type ClusterTarget, clusterFromRow, type DetectType } from './cluster.ts'
import type { ClusterConnections } from './cluster-connections.ts'
import type { ClusterGreeting } from './cluster-probe.ts'
import {
  type ClusterChange,
  checkClusterRequest,
  checkClusterUpdate,
  checkLogin,
  onlyEdgesReport,
} from './validate-cluster.ts'

/** The registry of other clusters (replication.md 1.5). */
export interface Clusters {
  /**
   * @param body as in the contract. @throws AppError of `checkClusterRequest`, CLUSTER_EXISTED, CLUSTER_CENTER_EXISTED, and with `ping`
   * what `ClusterConnections.connect` throws; then nothing is stored.
   */
  create(body: unknown, userId: string, signal: AbortSignal): Promise<Cluster>
  /** By name; fields that are absent stay. @throws AppError as above and CLUSTER_NOT_FOUND. */
  update(body: unknown, userId: string, signal: AbortSignal): Promise<Cluster>
  /** Newest first. */
  list(filter: ClusterFilter): Promise<Cluster[]>
  page(filter: ClusterFilter, page: PageRequest): Promise<Page<Cluster>>
  findById(id: string): Promise<Cluster | undefined>
  findByName(name: string): Promise<Cluster | undefined>
  exists(name: string): Promise<boolean>
  /** @throws AppError CLUSTER_NOT_FOUND; PARAMETER_INVALID while an enabled task sends to it. */
  delete(id: string): Promise<void>
  /** One attempt; what it finds becomes the status. @throws AppError CLUSTER_NOT_FOUND and of the connection. */
  tryConnect(name: string, signal: AbortSignal): Promise<void>
  /** With retries, as before a task is stored. @throws AppError CLUSTER_NOT_FOUND and of the connection. */
  connect(id: string, signal: AbortSignal): Promise<ClusterGreeting>
  /** Greets every PING cluster and registry and keeps what it finds: HEALTHY, or UNHEALTHY with the reason. Never throws for a cluster. */
  checkHealth(signal: AbortSignal): Promise<void>
  /** @throws AppError CLUSTER_NOT_FOUND. */
  getTarget(id: string): Promise<ClusterTarget>
}

/** A cluster that hangs holds one of these, not the round. */
const PROBES_AT_ONCE = 8

export interface ClustersDependencies {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
  readonly secrets: Secrets
  readonly connections: ClusterConnections
  /** To clusters that cannot be connected to. */
  readonly edges: EdgeWays
}
export interface EdgeWays {
  way(edge: { readonly id: string; readonly name: string }): OpenWay
  /** Without a report for so long, an edge is not there. */
  readonly silenceMs: number
}

export function createClusters({ db, clock, ids, secrets, connections, edges }: ClustersDependencies): Clusters {
  function targetOf(row: ClusterRow): ClusterTarget {
    const { id, name } = row
    if (row.detect_type === 'REPORT') {
      // It is reached by connections that it opened: the host only stands in messages.
      const nobody = { username: undefined, password: undefined, certificate: undefined }
      return { id, name, url: `http://edge-${id}`, ...nobody, way: edges.way({ id, name }) }
    }
    return {
      id,
      name,
      url: row.url,
      username: row.username ?? undefined,
      password: row.password === null ? undefined : readSecret(name, row.password, passwordPlace(id)),
      ...keysOf(row),
      certificate: row.certificate ?? undefined,
      rateLimit: row.rate_limit,
      ...(row.type === 'REMOTE' && { isRegistry: true }),
    }
  }
  /** Of a cluster that reports: who it said to be. It is not asked, because its connections may be held by another process. */
  async function reported({ id, name }: ClusterRow): Promise<ClusterGreeting> {
    const report = await findEdgeReport(db.read, id)
    if (report !== undefined && clock.now() - report.at < edges.silenceMs) {
      return { clusterId: report.identity, name: report.name }
    }
    const since = report === undefined ? 'ever' : `for ${Math.round((clock.now() - report.at) / 1000)} s`
    throw new AppError(
      'CLUSTER_CONNECT_ERROR',
      `remote cluster [${name}] connect error: it has not reported ${since}`,
      {
        cluster: name,
      },
    )
  }
  async function withReports(rows: readonly ClusterRow[]): Promise<Cluster[]> {
    const reporting = rows.filter((row) => row.detect_type === 'REPORT').map(({ id }) => id)
    const times = await listReportTimes(db.read, reporting)
    return rows.map((row) => clusterFromRow(row, times.get(row.id)))
  }
  const withReport = async (row: ClusterRow): Promise<Cluster> => (await withReports([row]))[0]!
  function keysOf({ id, name, access_key, secret_key }: ClusterRow): { keys?: KeyPair } {
    if (access_key === null || secret_key === null) return {}
    return { keys: { accessKey: access_key, secretKey: readSecret(name, secret_key, secretKeyPlace(id)) } }
  }
  function readSecret(name: string, text: string, place: string): string {
    try {
      return secrets.decrypt(text, place)
    } catch (cause) {
      const message = `remote cluster [${name}] connect error: its password or secret key cannot be read; ${messageOf(cause)}`
      throw new AppError('CLUSTER_CONNECT_ERROR', message, { cluster: name }, { cause })
    }
  }
  const encrypted = (secret: string | null | undefined, place: string) =>
    secret === null || secret === undefined ? null : secrets.encrypt(secret, place)

  /** A password takes the place of a key pair, and the other way round. */
  function loginAfter(change: ClusterChange, row: ClusterRow) {
    const { id } = row
    const dropsKeys = Boolean(change.password)
    const secretOf = (given: string | null | undefined, stored: string | null, place: string) =>
      given === undefined ? stored : encrypted(given, place)
    const kept = { ...row, ...(dropsKeys && { app_id: null, access_key: null, secret_key: null }) }
    const login = {
      username: changed(change.username, row.username),
      password: change.secretKey ? null : secretOf(change.password, row.password, passwordPlace(id)),
      app_id: changed(change.appId, kept.app_id),
      access_key: changed(change.accessKey, kept.access_key),
      secret_key: secretOf(change.secretKey, kept.secret_key, secretKeyPlace(id)),
    }
    const { username, app_id: appId, access_key: accessKey, secret_key } = login
    checkLogin({ username, appId, accessKey, hasSecretKey: secret_key !== null })
    return login
  }
  async function getByName(name: string): Promise<ClusterRow> {
    const row = await findClusterByName(db.read, name)
    if (row === undefined) throw notFound(name)
    return row
  }
  /** @throws AppError CLUSTER_EXISTED, or CLUSTER_CENTER_EXISTED for a second CENTER. */
  async function refuseTaken({ name, type }: { readonly name: string; readonly type: string }): Promise<void> {
    if ((await findClusterByName(db.read, name)) !== undefined) throw existed(name)
    const [center] = type === 'CENTER' ? await listClusters(db.read, { type }) : []
    if (center !== undefined) {
      const message = `cluster center node is existed: [${center.name}]`
      throw new AppError('CLUSTER_CENTER_EXISTED', message, { name: center.name })
    }
  }
  async function getById(id: string): Promise<ClusterRow> {
    const row = await findClusterById(db.read, id)
    if (row === undefined) throw notFound(id)
    return row
  }
  async function check(row: ClusterRow, signal: AbortSignal): Promise<void> {
    if (row.type === 'REMOTE') await connections.checkRegistry(row.id, () => targetOf(row), signal)
    else await connections.check(row.id, () => targetOf(row), signal)
  }
  /** What the row says about health once a connection was made, or was not asked for. */
  const healthAfter = ({ ping, detectType }: { readonly ping: boolean; readonly detectType: string }) =>
    ping && detectType === 'PING'
      ? { status: 'HEALTHY', error_reason: null, checked_at: clock.now() }
      : { status: 'UNHEALTHY', error_reason: NOT_YET[detectType as DetectType], checked_at: null }

  return {
    async create(body, userId, signal) {
      const request = checkClusterRequest(body)
      await refuseTaken(request)
      const id = ids.id()
      const { ping, detectType } = request
      if (ping && detectType === 'PING') await connections.connect({ ...connectionOf(request), id }, signal)
      const now = clock.now()
      const row = {
        id,
        name: request.name,
        type: request.type,
        url: request.url,
        detect_type: detectType,
        username: request.username ?? null,
        password: encrypted(request.password, passwordPlace(id)),
        certificate: request.certificate ?? null,
        app_id: request.appId ?? null,
        access_key: request.accessKey ?? null,
        secret_key: encrypted(request.secretKey, secretKeyPlace(id)),
        udp_port: null,
        peer_id: null,
        rate_limit: request.rateLimit ?? null,
        ...healthAfter({ ping, detectType }),
        created_by: userId,
        created_at: now,
        modified_by: userId,
        modified_at: now,
      }
      if (!(await db.transact((trx) => insertCluster(trx, row)))) {
        await refuseTaken(request)
        throw existed(request.name)
      }
      return clusterFromRow(row, undefined)
    },

    async update(body, userId, signal) {
      const change = checkClusterUpdate(body)
      const row = await getByName(change.name)
      if (row.type === 'REMOTE') throw belongsToDistribution('name', row.name, 'change')
      if (change.type !== undefined && change.type !== row.type)
        throw invalid('type', `[${row.name}] is ${row.type}, which stays`)
      const detectType = change.detectType ?? row.detect_type
      if (detectType === 'REPORT' && row.type !== 'EDGE') throw onlyEdgesReport()
      const connection = {
        detect_type: detectType,
        url: change.url ?? row.url,
        certificate: changed(change.certificate, row.certificate),
        ...loginAfter(change, row),
        rate_limit: change.rateLimit === undefined ? row.rate_limit : change.rateLimit,
      }
      const reports = detectType === 'REPORT'
      if (change.ping && !reports) await connections.connect(targetOf({ ...row, ...connection }), signal)
      const columns = {
        ...connection,
        // What is known of one that reports is known from its reports.
        ...(reports && row.detect_type === 'REPORT' ? {} : healthAfter({ ping: change.ping, detectType })),
        modified_by: userId,
        modified_at: clock.now(),
      }
      if (!(await db.transact((trx) => updateCluster(trx, row.id, columns)))) throw notFound(change.name)
      return withReport({ ...row, ...columns })
    },

    list: async (filter) => withReports(await listClusters(db.read, filter)),
    async page(filter, page) {
      const found = await pageClusters(db.read, filter, page)
      return { ...found, records: await withReports(found.records) }
    },
    async findById(id) {
      const row = await findClusterById(db.read, id)
      return row && withReport(row)
    },
    async findByName(name) {
      const row = await findClusterByName(db.read, name)
      return row && withReport(row)
    },
    exists: async (name) => (await findClusterByName(db.read, name)) !== undefined,

    async delete(id) {
      await db.transact(async (trx) => {
        const distribution = await findDistributionTo(trx, id)
        if (distribution !== undefined) throw belongsToDistribution('id', distribution, 'delete')
        const task = await findEnabledTaskOfCluster(trx, id)
        if (task !== undefined)
          throw invalid('id', `task [${task}] sends to this cluster; disable it or choose other targets`)
        if (!(await deleteCluster(trx, id))) throw notFound(id)
        await deleteEdgeRows(trx, id)
      })
    },

    async tryConnect(name, signal) {
      const row = await getByName(name)
      if (row.detect_type === 'REPORT') await reported(row)
      else await check(row, signal)
    },
    async checkHealth(signal) {
      const rows = (await listClusters(db.read, {})).filter((row) => row.detect_type === 'PING')
      await mapConcurrent(
        rows,
        PROBES_AT_ONCE,
        async (row, stop) => {
          try {
            await check(row, stop)
          } catch (error) {
            if (!(error instanceof AppError)) throw error
          }
        },
        signal,
      )
    },
    async connect(id, signal) {
      const row = await getById(id)
      const reports = row.detect_type === 'REPORT'
      const greeting = reports ? await reported(row) : await connections.connect(targetOf(row), signal)
      await notePeerOf(db, id, greeting.clusterId)
      return greeting
    },
    async getTarget(id) {
      const row = await findClusterById(db.read, id)
      if (row === undefined) throw removed(id)
      return targetOf(row)
    },
  }
}

/** Why a cluster that was not heard of is UNHEALTHY. */
export const NOT_YET: Readonly<Record<DetectType, string>> = { PING: 'Not connected yet', REPORT: 'Not reported yet' }

/** Where it is, and how to log in there, is said in one place only. */
const belongsToDistribution = (field: string, name: string, verb: 'change' | 'delete') =>
  invalid(field, `[${name}] is the registry of a distribution: ${verb} the distribution, and it follows`)

const notFound = (reference: string) =>
  new AppError('CLUSTER_NOT_FOUND', `cluster node [${reference}] is not found`, { cluster: reference })
/** For runs: whoever started one named a cluster that was there. */
const removed = (id: string) => {
  const what = 'it was removed; choose other targets for the task, or register the cluster again and choose it'
  return new AppError('CLUSTER_NOT_FOUND', `cluster node [${id}] is not found: ${what}`, { cluster: id })
}
const existed = (name: string) => new AppError('CLUSTER_EXISTED', `cluster node [${name}] is existed`, { name })

/** Binds the ciphertext to its row: put into another one, it cannot be read. */
export const passwordPlace = (id: string) => `cluster/${id}/password`
export const secretKeyPlace = (id: string) => `cluster/${id}/secretKey`

const connectionOf = (change: ClusterChange & { readonly url: string }): Omit<ClusterTarget, 'id'> => ({
  name: change.name,
  url: change.url,
  username: change.username ?? undefined,
  password: change.password ?? undefined,
  keys: change.accessKey && change.secretKey ? { accessKey: change.accessKey, secretKey: change.secretKey } : undefined,
  certificate: change.certificate ?? undefined,
})

/** Undefined: as it was; null: none. */
const changed = (change: string | null | undefined, stored: string | null) => (change === undefined ? stored : change)
