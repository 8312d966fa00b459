import { Readable } from 'node:stream'
import { createBlobIntake } from '../../src/artifacts/blobs/blob-intake.ts'
import { createPackageDeletion } from '../../src/artifacts/packages/package-deletion.ts'
import type { PackageRules } from '../../src/artifacts/packages/package-rules.ts'
import { createPackages } from '../../src/artifacts/packages/packages.ts'
import { createPublishing, type Published } from '../../src/artifacts/packages/publishing.ts'
import type { DraftFile, VersionDraft } from '../../src/artifacts/packages/version-draft.ts'
import type { Repository } from '../../src/artifacts/repositories/repositories.ts'
import { NO_LANES } from '../../src/core/lanes.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { createSegmentIndex } from '../../src/metadata/storage/segment-index.ts'
import { createMemoryBlobStore } from '../../src/storage/memory/blob-store.ts'
import { type ArtifactServices, artifactServices, path } from './artifacts.ts'
import { rdsFormat } from './rds-format.ts'

/** Packages of the type RDS on one database, with blobs in memory. */
export function packageServices(db: MetadataDatabase, rules: Partial<PackageRules> = {}) {
  const base = artifactServices(db)
  const { clock, hlc } = base
  const store = createMemoryBlobStore(new Map(), createSegmentIndex({ db, clock }))
  const intake = createBlobIntake({ db, store, clock })
  const rulesOf = (type: string) => (type === 'RDS' ? { ...rdsFormat.packages!, ...rules } : undefined)
  const publishing = createPublishing({ db, intake, clock, hlc, rulesOf })

  /** `files`: path → text; the first one is the main file and comes last. A text of undefined: it is stored already. */
  async function publish(
    repository: Repository,
    name: string,
    version: string,
    files: Readonly<Record<string, string | undefined>>,
    more: Partial<VersionDraft> = {},
  ): Promise<Published> {
    const { signal } = new AbortController()
    await using staged = new AsyncDisposableStack()
    const draft: DraftFile[] = []
    for (const [index, [place, text]] of Object.entries(files).entries()) {
      const role = index === 0 ? 'main' : 'part'
      const receive = (body: string) => store.receive(Readable.from([Buffer.from(body)]), {}, signal)
      draft.unshift({
        ...{ path: path(place), role },
        content: text === undefined ? 'stored' : staged.use(await receive(text)),
      })
    }
    const wanted = { packageKey: `rds://${name}`, version, files: draft, existing: 'refuse', ...more } as const
    return await publishing.publish(repository, wanted, 'alice', signal)
  }
  return {
    ...base,
    ...{ store, intake, rulesOf },
    packages: createPackages({ db, clock, hlc, rulesOf }),
    deletion: createPackageDeletion({ db, clock, hlc, rulesOf }),
    publish,
  }
}
export type PackageServices = ReturnType<typeof packageServices>

/** The project `demo` is made when it is missing. The use case refuses the type, so the row is written as a server with it would. */
export async function makePackageRepository(on: ArtifactServices, name = 'rds'): Promise<Repository> {
  if ((await on.projects.find('demo')) === undefined) {
    await on.projects.create({ name: 'demo', displayName: 'demo', description: '' }, 'admin')
  }
  const made = await on.repositories.create({ project: 'demo', name, type: 'GENERIC' }, 'admin')
  await on.db.transact((trx) => trx.updateTable('repository').set({ type: 'RDS' }).where('id', '=', made.id).execute())
  return { ...made, type: 'RDS' }
}

/** What the log says was gained must be what is there: nodes, versions and packages alike. */
export async function logSums({ db }: Pick<ArtifactServices, 'db'>, repoId: number) {
  const lanes = await db.read
    .selectFrom('change_log')
    .where('repo_id', '=', repoId)
    .select((eb) => [
      ...(['dn', 'd0', 'd1', 'd2', 'd3', 'e0', 'e1', 'e2', 'e3'] as const).map((name) =>
        eb.fn.sum<number>(name).as(name),
      ),
    ])
    .executeTakeFirstOrThrow()
  const nodes = db.read.selectFrom('node').where('deleted_at', 'is', null).where('folder', '=', 0)
  const live = [
    ...(await nodes.where('repo_id', '=', repoId).selectAll().execute()),
    ...(await db.read.selectFrom('package_version').where('repo_id', '=', repoId).selectAll().execute()),
    ...(await db.read.selectFrom('package').where('repo_id', '=', repoId).selectAll().execute()).map((row) => ({
      ...row,
      ...{ c0: 0, c1: 0, c2: 0, c3: 0 },
    })),
  ]
  const sums = live.reduce(
    (sum, row) => [row.c0, row.c1, row.c2, row.c3, row.m0, row.m1, row.m2, row.m3].map((lane, at) => sum[at]! + lane),
    [...NO_LANES, ...NO_LANES] as number[],
  )
  const logged = [lanes.d0, lanes.d1, lanes.d2, lanes.d3, lanes.e0, lanes.e1, lanes.e2, lanes.e3].map(Number)
  return { logged: [Number(lanes.dn), ...logged], live: [live.length, ...sums] }
}
