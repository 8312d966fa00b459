import { systemRandom } from '../../src/app/system-random.ts'
import { createNodeExpiry } from '../../src/artifacts/nodes/node-expiry.ts'
import type { FileWrite } from '../../src/artifacts/nodes/node-writer.ts'
import { createNodes } from '../../src/artifacts/nodes/nodes.ts'
import { createRepositoryPasswords } from '../../src/artifacts/proxies/repository-passwords.ts'
import { createCleanup } from '../../src/artifacts/repositories/cleanup.ts'
import { createProjects } from '../../src/artifacts/repositories/projects.ts'
import { createQuotas } from '../../src/artifacts/repositories/quotas.ts'
import { createRepositories, type Repository } from '../../src/artifacts/repositories/repositories.ts'
import { createRepositoryRetirement } from '../../src/artifacts/repositories/repository-retirement.ts'
import { createTreeOperations } from '../../src/artifacts/trees/tree-operations.ts'
import { createTrees } from '../../src/artifacts/trees/trees.ts'
import { createRoles } from '../../src/auth/roles.ts'
import { createSecrets } from '../../src/auth/secrets.ts'
import { digestOfBytes } from '../../src/core/digest.ts'
import { HlcClock } from '../../src/core/hlc.ts'
import { type NodePath, normalisePath } from '../../src/core/paths.ts'
import { createDates } from '../../src/http/dates.ts'
import { createLeaseTableQueue } from '../../src/jobs/lease-table.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { manualClock } from './clock.ts'
import { countingIds } from './ids.ts'

/** One key for all tests. */
export const testPasswords = createRepositoryPasswords(createSecrets(Buffer.alloc(32, 7), systemRandom))

/** Projects, repositories and nodes on one database, without blobs. */
export function artifactServices(db: MetadataDatabase, { rowsPerSlice = 250 } = {}) {
  const clock = manualClock()
  const hlc = new HlcClock(clock.now)
  const projects = createProjects({ db, clock, roles: createRoles({ db, clock, ids: countingIds() }) })
  const queue = createLeaseTableQueue({ db, clock })
  const retirement = createRepositoryRetirement({ db, clock, queue })
  const repositories = createRepositories({
    ...{ db, clock, retirement, ids: countingIds(), builtTypes: ['GENERIC'], rules: { allowPrivate: true } },
    passwords: testPasswords,
  })
  const ids = countingIds()
  const treeOperations = createTreeOperations({ db, clock, hlc, ids, queue, firstRows: rowsPerSlice })
  const trees = createTrees({ db, operations: treeOperations })
  return {
    ...{ db, clock, hlc, queue, projects, repositories, retirement, treeOperations, trees },
    quotas: createQuotas({ db, clock }),
    expiry: createNodeExpiry({ db, clock, hlc }),
    cleanup: createCleanup({ db, clock, hlc, parseTime: createDates('UTC').parse, onError: raise }),
    nodes: createNodes({ db, clock, hlc }),
  }
}
const raise = (error: unknown): never => {
  throw error
}

export type ArtifactServices = ReturnType<typeof artifactServices>

/** `project/name`; the project is made when it is missing. */
export async function makeRepository(
  { projects, repositories }: Pick<ArtifactServices, 'projects' | 'repositories'>,
  name = 'demo/files',
  access: 'public' | 'private' = 'private',
): Promise<Repository> {
  const [project = '', repo = ''] = name.split('/')
  if ((await projects.find(project)) === undefined) {
    await projects.create({ name: project, displayName: project, description: '' }, 'admin')
  }
  return repositories.create({ project, name: repo, type: 'GENERIC', public: access === 'public' }, 'admin')
}

/** A file by a local user, as an upload would write it. */
export function fileWrite(
  { clock, hlc }: Pick<ArtifactServices, 'clock' | 'hlc'>,
  path: string,
  content = path,
  more: Partial<FileWrite> = {},
): FileWrite {
  const at = clock.now()
  return {
    path: normalisePath(path),
    digest: digestOfBytes(content),
    sizeBytes: Buffer.byteLength(content),
    md5: undefined,
    metadata: [],
    expiresAt: undefined,
    createdBy: 'alice',
    createdAt: at,
    modifiedBy: 'alice',
    modifiedAt: at,
    origin: 0,
    hlc: hlc.next(),
    viaLink: undefined,
    viaMark: undefined,
    ...more,
  }
}

export const path = (text: string): NodePath => normalisePath(text)
