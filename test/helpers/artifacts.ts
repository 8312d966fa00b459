import type { FileWrite } from '../../src/artifacts/node-writer.ts'
import { createNodes } from '../../src/artifacts/nodes.ts'
import { createProjects } from '../../src/artifacts/projects.ts'
import { createRepositories, type Repository } from '../../src/artifacts/repositories.ts'
import { digestOfBytes } from '../../src/core/digest.ts'
import { HlcClock } from '../../src/core/hlc.ts'
import { type NodePath, normalisePath } from '../../src/core/paths.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { manualClock } from './clock.ts'
import { countingIds } from './ids.ts'

/** Projects, repositories and nodes on one database, without blobs. */
export function artifactServices(db: MetadataDatabase) {
  const clock = manualClock()
  const hlc = new HlcClock(clock.now)
  const projects = createProjects({ db, clock })
  const repositories = createRepositories({ db, clock, ids: countingIds(), builtTypes: ['GENERIC'] })
  return { db, clock, hlc, projects, repositories, nodes: createNodes({ db, clock, hlc }) }
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
