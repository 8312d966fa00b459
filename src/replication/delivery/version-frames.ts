import type { Metadata } from '../../core/metadata.ts'
import type { PackageRecord } from '../../metadata/packages/packages.ts'
import type { SourceFile } from '../../metadata/replication/source-files.ts'
import type { VersionSource } from '../../metadata/replication/source-versions.ts'
import type { OutgoingItem } from '../../remotes/cluster/frame-stream.ts'
import type { Authors, PackageWords, VersionDocument, VersionFileEntry } from '../../remotes/cluster/frames/frame.ts'
import type { DeliveryContext } from './deliver-batch.ts'
import type { PackageItem, VersionItem } from './work-item.ts'

type Context = Pick<DeliveryContext, 'includeMetadata' | 'originOf'>

/** A version as it is sent: all that is said of it, of its files and of its package. Contents travel before it. */
export function versionFrameOf({ source, expect }: VersionItem, ctx: Context): OutgoingItem {
  const { version, files } = source
  const { manifestPath, tags, stageTags, extension } = version
  const document: VersionDocument = {
    files: files.map((file) => fileEntry(file, ctx)),
    manifestPath,
    metadata: ctx.includeMetadata ? userEntries(version) : null,
    tags,
    stageTags,
    extension,
    written: authorsOf(version),
    package: packageWords(source.package, ctx),
  }
  const { packageKey, name, hlc, origin } = version
  return { type: 'version', packageKey, version: name, hlc, origin: ctx.originOf(origin), document, expect }
}

/** What is said about a package alone. */
export function packageFrameOf({ owner, expect }: PackageItem, ctx: Context): OutgoingItem {
  const words = packageWords(owner, ctx)
  const document: VersionDocument = {
    ...{ files: [], manifestPath: null, metadata: null, tags: [], stageTags: [], extension: {} },
    written: authorsOf(owner),
    package: words,
  }
  return { type: 'version', packageKey: owner.key, version: '', hlc: words.hlc, origin: words.origin, document, expect }
}

function fileEntry({ role, file }: VersionSource, { includeMetadata, originOf }: Context): VersionFileEntry {
  const { path, digest, sizeBytes, md5, crc64, hlc, expiresAt } = file
  return {
    ...{ path, role, digest, sizeBytes, md5, crc64, hlc, expiresAt },
    metadata: includeMetadata ? userEntries(file) : null,
    origin: originOf(file.origin),
    ...authorsOf(file),
  }
}

function packageWords(owner: PackageRecord, { originOf }: Context): PackageWords {
  const { description, versionTag, extension, hlc, origin } = owner
  return { description, versionTag, extension, hlc, origin: originOf(origin), ...authorsOf(owner) }
}

const authorsOf = ({ createdBy, createdAt, modifiedBy, modifiedAt }: Authors): Authors => ({
  ...{ createdBy, createdAt, modifiedBy, modifiedAt },
})

/** What the system noted here stays here. */
export const userEntries = ({ metadata }: Pick<SourceFile, 'metadata'>): Metadata =>
  metadata.length === 0 ? metadata : metadata.filter((entry) => entry.system !== true)
