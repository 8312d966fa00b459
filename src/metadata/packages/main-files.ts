import { type Selectable, sql } from 'kysely'
import type { PackageKey } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { type NodeRecord, toNode } from '../nodes/nodes.ts'
import type { Schema } from '../schema.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/** The main file of a version, maybe expired (`isExpired`). */
export interface MainFile {
  /** Undefined: no version is known by that digest; another one names the file. */
  readonly versionId: number | undefined
  readonly node: NodeRecord
}

type Row = Selectable<Schema['node']> & { readonly version_id: number | null }
interface Named {
  readonly repoId: number
  readonly key: string
  readonly name: string
}
const byName = preparedQuery<Named, Row>((reader, { repoId, key, name }) =>
  reader
    .selectFrom('package')
    .innerJoin('package_version', 'package_version.package_id', 'package.id')
    .innerJoin('node', (join) =>
      join
        .onRef('node.repo_id', '=', 'package.repo_id')
        .onRef('node.path', '=', 'package_version.artifact_path')
        .on('node.deleted_at', 'is', null),
    )
    .where('package.repo_id', '=', repoId)
    .where('package.key', '=', key)
    .where('package_version.name', '=', name)
    .selectAll('node')
    .select('package_version.id as version_id'),
)

/** One query. */
export async function findMainByName(
  reader: Reader,
  repoId: number,
  key: PackageKey,
  name: string,
): Promise<MainFile | undefined> {
  const [row] = await byName(reader, { repoId, key, name })
  return row && toMain(row)
}

interface WithDigest {
  readonly repoId: number
  readonly key: string
  readonly digest: string
  readonly path: string
  readonly otherPath: string
}
/** A version of that name, then what another version names, then any version with that digest. */
const byDigest = preparedQuery<WithDigest, Row>((reader, { repoId, key, digest, path, otherPath }) => ({
  compile: () =>
    sql<Row>`select node.*, found.version_id from (
      select v.id as version_id, v.artifact_path as path, case when v.name = ${digest} then 0 else 2 end as place
        from package as p join package_version as v on v.package_id = p.id
        where p.repo_id = ${repoId} and p.key = ${key} and v.digest = ${digest}
      union all select null, cast(${path} as text), 1
      union all select null, cast(${otherPath} as text), 1
    ) as found join node on node.repo_id = ${repoId} and node.path = found.path and node.deleted_at is null
    where node.folder = 0 order by found.place limit ${sql.lit(MOST_FOUND)}`.compile(reader),
}))
/** The first is right, unless somebody put other bytes in its place. */
const MOST_FOUND = 4

/** One query: what there is under a digest, the best first. @param paths where such a file lies when only another version names it. */
export async function findMainsByDigest(
  reader: Reader,
  repoId: number,
  key: PackageKey,
  digest: string,
  [path, otherPath]: readonly [NodePath, NodePath],
): Promise<MainFile[]> {
  return (await byDigest(reader, { repoId, key, digest, path, otherPath })).map(toMain)
}

const toMain = ({ version_id, ...node }: Row): MainFile => ({ versionId: version_id ?? undefined, node: toNode(node) })
