import assert from 'node:assert/strict'
import type { LocalCluster, TestDialect } from './local-cluster.ts'
import { rdsFormat } from './rds-format.ts'
import type { Detail } from './replication-calls.ts'
import { type TaskChanges, type TwoClusters, twoClusters } from './two-clusters.ts'

/** Of both clusters, with the package type of tests. */
export const PACKAGES = 'proj/packages'
const [PROJECT, NAME] = PACKAGES.split('/') as [string, string]

/** A detail row with what only packages have. */
export interface PackageDetail extends Detail {
  readonly version: string | null
  readonly packageConstraint: { readonly packageKey: string; readonly versions: readonly string[] } | null
}

/** What a client sees of one package. */
export interface PackageView {
  readonly latest: string
  readonly tags: Readonly<Record<string, string>>
  readonly versions: readonly string[]
}

export interface PackagedClusters extends AsyncDisposable {
  readonly on: TwoClusters
  /** Version 1.0.0 of `name` as `name/1.0.0`. @param query of the format's PUT. */
  publish(where: LocalCluster, version: string, content: string | Buffer, query?: string): Promise<void>
  remove(where: LocalCluster, version: string): Promise<void>
  /** Content of its main file, or of the file with that role; undefined: there is no such version. */
  read(where: LocalCluster, version: string, role?: string): Promise<string | undefined>
  view(where: LocalCluster, name: string): Promise<PackageView | undefined>
  /** Paths of all live files. */
  paths(where: LocalCluster): Promise<string[]>
  /** Body of a task about the packages. */
  task(changes?: TaskChanges, object?: Readonly<Record<string, unknown>>): TaskChanges
}

export async function packagedClusters(
  dialect: TestDialect,
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
): Promise<PackagedClusters> {
  const on = await twoClusters(dialect, signal, env, [rdsFormat])
  const made = { projectId: PROJECT, name: NAME, type: 'RDS', public: true, description: 'packages' }
  await on.a.api.call('POST', '/repository/api/repo/create', made, signal)

  const send = (where: LocalCluster, method: string, path: string, body?: string | Buffer) =>
    fetch(`${where.url}${path}`, {
      ...{ method, signal, headers: { authorization: where.api.authorization } },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
    })
  return {
    on,
    async publish(where, version, content, query = '') {
      const answer = await send(where, 'PUT', `/rds/${PACKAGES}/${version}?${query}`, content)
      assert.ok(answer.ok, `${answer.status} ${await answer.text()}`)
    },
    async remove(where, version) {
      assert.equal((await send(where, 'DELETE', `/rds/${PACKAGES}/${version}`)).status, 204)
    },
    async read(where, version, role) {
      const file = role === undefined ? '' : `?file=${role}`
      const answer = await send(where, 'GET', `/rds/${PACKAGES}/${version}${file}`)
      const text = await answer.text()
      return answer.status === 200 ? text : undefined
    },
    async view(where, name) {
      const answer = await send(where, 'GET', `/rds/${PACKAGES}/${name}`)
      if (answer.status !== 200) return undefined
      const { latest, tags, versions } = (await answer.json()) as PackageView
      return { latest, tags, versions }
    },
    async paths(where) {
      const live = where.db.read.selectFrom('node').innerJoin('repository', 'repository.id', 'node.repo_id')
      const rows = await live
        .where('repository.name', '=', NAME)
        .where('node.deleted_at', 'is', null)
        .where('node.folder', '=', 0)
        .select('node.path')
        .orderBy('node.path')
        .execute()
      return rows.map(({ path }) => path)
    },
    task: (changes = {}, object = {}) => ({
      ...changes,
      replicaTaskObjects: [
        {
          ...{ localRepoName: NAME, remoteProjectId: PROJECT, remoteRepoName: NAME, repoType: 'RDS' },
          ...{ packageConstraints: [], pathConstraints: [], ...object },
        } as never,
      ],
    }),
    [Symbol.asyncDispose]: () => on[Symbol.asyncDispose](),
  }
}
