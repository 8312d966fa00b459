import { createHash } from 'node:crypto'
import { hasCode, invalid } from '../core/errors.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { type ClusterRow, listClusters } from '../metadata/replication/clusters.ts'
import { withScheme } from '../remotes/outgoing-url.ts'
import type { ClusterConnections } from './cluster-connections.ts'
import type { ClusterGreeting } from './cluster-probe.ts'
import type { Clusters } from './clusters.ts'
import { checkClusterRequest } from './validate-cluster.ts'

/** A cluster as requests of the older API give it: by address and login, without a name. */
export interface GivenCluster {
  readonly url: string
  readonly username: string | undefined
  readonly password: string | undefined
  readonly certificate: string | undefined
}

export interface GivenClusters {
  /** @throws AppError PARAMETER_EMPTY, PARAMETER_INVALID naming the field, and of `ClusterConnections.connect`. */
  connect(given: GivenCluster, signal: AbortSignal): Promise<ClusterGreeting>
  /**
   * The STANDALONE cluster of that address and user: the oldest there is, or a new one. A password or certificate other than the
   * stored one takes its place once it has been tried.
   * @param greeting of `connect`; undefined: nobody tried.
   * @throws AppError as `connect`; PARAMETER_INVALID for another password that nobody tried.
   */
  ensure(
    given: GivenCluster,
    greeting: ClusterGreeting | undefined,
    userId: string,
    signal: AbortSignal,
  ): Promise<{ readonly id: string; readonly name: string }>
}

interface GivenClustersDeps {
  readonly db: MetadataDatabase
  readonly clusters: Pick<Clusters, 'create' | 'update' | 'getTarget'>
  readonly connections: Pick<ClusterConnections, 'connect'>
}

export function createGivenClusters({ db, clusters, connections }: GivenClustersDeps): GivenClusters {
  const find = async (given: GivenCluster): Promise<ClusterRow | undefined> =>
    (await listClusters(db.read, { type: 'STANDALONE' }))
      .reverse()
      .find((row) => loginOf(row.url, row.username ?? undefined) === loginOf(given.url, given.username))

  async function renew(row: ClusterRow, given: GivenCluster, tried: boolean, userId: string, signal: AbortSignal) {
    const stored = await clusters.getTarget(row.id)
    const differs = (field: 'password' | 'certificate') =>
      given[field] !== undefined && given[field] !== stored[field] ? field : undefined
    const field = differs('password') ?? differs('certificate')
    if (field === undefined) return
    if (!tried) throw invalid(field, `it is another than cluster [${row.name}] has: leave validateConnectivity on`)
    const { password, certificate } = given
    await clusters.update({ name: row.name, password, certificate }, userId, signal)
  }

  return {
    async connect(given, signal) {
      const { url, username, password, certificate } = checkClusterRequest(requestOf(given))
      const login = { username: username ?? undefined, password: password ?? undefined }
      const target = { id: '', name: url, url, ...login, certificate: certificate ?? undefined }
      return connections.connect(target, signal)
    },

    async ensure(given, greeting, userId, signal) {
      const tried = greeting !== undefined
      const known = await find(given)
      if (known !== undefined) {
        await renew(known, given, tried, userId, signal)
        return { id: known.id, name: known.name }
      }
      try {
        return await clusters.create({ ...requestOf(given), ping: tried }, userId, signal)
      } catch (error) {
        // Of two requests that give the same cluster at once, the second finds what the first made.
        const made = hasCode(error, 'CLUSTER_EXISTED') ? await find(given) : undefined
        if (made === undefined) throw error
        await renew(made, given, tried, userId, signal)
        return { id: made.id, name: made.name }
      }
    },
  }
}

const HOST_CHARACTERS = 200
const TOLD_APART_BY = 8

/** The same address and user always get the same name. */
function requestOf(given: GivenCluster) {
  const { url, username, password, certificate } = given
  const host = URL.parse(withScheme(url.trim()))?.host ?? ''
  const login = createHash('sha256').update(loginOf(url, username)).digest('hex')
  const name = `${host.slice(0, HOST_CHARACTERS)}-${login.slice(0, TOLD_APART_BY)}`
  return { name, url, type: 'STANDALONE', username, password, certificate }
}

/** Whom one logs in as where: spellings of one address are one, with or without the path that the older API ended in. */
function loginOf(url: string, username: string | undefined): string {
  const parsed = URL.parse(withScheme(url.trim()))
  const path = parsed?.pathname.replace(/\/+$/, '').replace(/\/replication$/, '')
  return JSON.stringify([parsed === null ? url : `${parsed.protocol}//${parsed.host}${path}`, username ?? ''])
}
