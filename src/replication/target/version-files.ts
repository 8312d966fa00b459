import type { FileWrite, MetadataChange } from '../../artifacts/nodes/node-writer.ts'
import type { VersionCopy } from '../../artifacts/packages/version-copies.ts'
import { metadataLanes, sameLanes } from '../../core/lanes.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { KeyedVersion } from '../../metadata/packages/versions.ts'
import type { VersionFileEntry } from '../../remotes/cluster/frames/frame.ts'
import type { Outcome } from './decision.ts'
import { metadataAfter } from './entry-write.ts'
import type { Room } from './room.ts'
import type { VersionFacts } from './version-facts.ts'
import type { VersionStanding } from './version-rule.ts'

/** How the files of a version stand where they belong. */
export function filesStanding(
  facts: VersionFacts,
  files: readonly VersionFileEntry[],
  row: KeyedVersion | undefined,
  via: number,
): Pick<VersionStanding, 'blocked' | 'occupied' | 'sameFileMetadata'> {
  let blocked: string | undefined
  let occupied: NodePath | undefined
  let sameFileMetadata = true
  for (const { path: text, digest, metadata } of files) {
    const path = text as NodePath
    const there = facts.visibleAt(path)
    if (there?.folder) blocked ??= `the target has a folder at [${path}]`
    const above = ancestorsOf(path).find((ancestor) => facts.visibleAt(ancestor)?.folder === false)
    if (above !== undefined) blocked ??= `the target has a file at [${above}], where it needs a folder`
    if (there === undefined || there.folder) continue
    if (there.digest === digest) {
      if (metadata !== null && !sameLanes(there.metadataLanes, metadataLanes(path, metadata))) sameFileMetadata = false
      continue
    }
    if (there.viaLink === via) continue
    const claimants = facts.claimantsOf(path)
    const isElsewhere = claimants.some((id) => id !== row?.id)
    if (isElsewhere) blocked ??= `another version of the target has the file [${path}], with other content`
    else if (claimants.length === 0) occupied ??= path
  }
  return { blocked, occupied, sameFileMetadata }
}

export interface FilesOrder {
  readonly files: readonly VersionFileEntry[]
  /** What is replaced. */
  readonly row: KeyedVersion | undefined
  readonly stamp: Pick<FileWrite, 'viaLink' | 'viaMark'>
}
export type PreparedFiles = Pick<VersionCopy, 'writes' | 'fileMetadata'>

/** Says what is to be written of the files of one version after the other, or why that cannot be. */
export function createFilePreparer(facts: VersionFacts, room: Room, originOf: (clusterId: string) => number) {
  /** Of versions of this batch; another one may have the same file. */
  const planned = new Set<NodePath>()

  return function prepare({ files, row, stamp }: FilesOrder): PreparedFiles | Outcome {
    const writes: FileWrite[] = []
    const fileMetadata: MetadataChange[] = []
    let bytes = 0
    for (const file of files) {
      const path = file.path as NodePath
      const there = facts.visibleAt(path)
      const metadata = metadataAfter(file.metadata, there)
      const from = { origin: originOf(file.origin), ...stamp }
      if (there !== undefined && there.digest === file.digest) {
        if (file.metadata === null || sameLanes(there.metadataLanes, metadataLanes(path, metadata))) continue
        const { modifiedBy, modifiedAt, hlc } = file
        fileMetadata.push({ node: there, metadata, modifiedBy, modifiedAt, hlc, ...from })
        continue
      }
      const held = facts.here.get(file.digest)
      if (held === undefined) return { result: 'no-blob' }
      if (held !== file.sizeBytes) {
        return { result: 'refused', reason: `its file [${path}] has ${held} bytes, not ${file.sizeBytes} as it says` }
      }
      if (!planned.has(path)) bytes += file.sizeBytes - (facts.rows.get(path)?.sizeBytes ?? 0)
      writes.push({ ...writeOf(file), metadata, ...from })
    }
    const full = room.take(bytes - freedBytes(files, row))
    if (full !== undefined) return { result: 'refused', reason: full }
    for (const { path } of writes) planned.add(path)
    return { writes, fileMetadata }
  }

  /** Files that only the version had, and has no more. What may have to be kept under another name frees nothing. */
  function freedBytes(files: readonly VersionFileEntry[], row: KeyedVersion | undefined): number {
    if (facts.mayBeKept(row)) return 0
    const kept = new Set<string>(files.map(({ path }) => path))
    const freed = facts.pathsOf(row).filter((path) => !kept.has(path) && facts.claimantsOf(path).length === 1)
    return freed.reduce((sum, path) => sum + (facts.rows.get(path)?.sizeBytes ?? 0), 0)
  }
}

function writeOf(file: VersionFileEntry): Omit<FileWrite, 'metadata' | 'origin'> {
  const { path, digest, sizeBytes, md5, crc64, hlc, expiresAt, createdBy, createdAt, modifiedBy, modifiedAt } = file
  return {
    ...{ path: path as NodePath, digest, sizeBytes, hlc, createdBy, createdAt, modifiedBy, modifiedAt },
    ...{ md5: md5 ?? undefined, crc64: crc64 ?? undefined, expiresAt: expiresAt ?? undefined },
    ...{ viaLink: undefined, viaMark: undefined },
  }
}
