import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { createBlobIntake } from '../../src/artifacts/blobs/blob-intake.ts'
import { createPackageDeletion } from '../../src/artifacts/packages/package-deletion.ts'
import { createPackages } from '../../src/artifacts/packages/packages.ts'
import { createPublishing } from '../../src/artifacts/packages/publishing.ts'
import type { Repository } from '../../src/artifacts/repositories/repositories.ts'
import type { ContentName } from '../../src/core/content-name.ts'
import { AppError } from '../../src/core/errors.ts'
import { type ImageName, parseImageName } from '../../src/formats/oci/coordinates.ts'
import { type OciFailure, ociFailureOf } from '../../src/formats/oci/errors.ts'
import { createManifestStore } from '../../src/formats/oci/manifest-store.ts'
import { manifestOperations } from '../../src/formats/oci/manifests.ts'
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from '../../src/formats/oci/media-types.ts'
import type { ImageReply, ImageRequest, OperationName } from '../../src/formats/oci/operation.ts'
import { listReferrers } from '../../src/formats/oci/referrers.ts'
import { imageRules } from '../../src/formats/oci/rules.ts'
import { listTags } from '../../src/formats/oci/tags.ts'
import type { ProtocolReply } from '../../src/formats/protocol.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { keepLoose } from '../../src/metadata/storage/loose-blobs.ts'
import { createSegmentIndex } from '../../src/metadata/storage/segment-index.ts'
import { createMemoryBlobStore } from '../../src/storage/memory/blob-store.ts'
import { createSmallBlobs } from '../../src/storage/small-blobs.ts'
import { artifactServices } from './artifacts.ts'

/** What an operation answered: the bytes of a file are read. */
export interface ImageAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}
type Asked = Partial<Pick<ImageRequest, 'query' | 'headers' | 'userId'>> & { readonly body?: Buffer | string }

/** The operations on manifests, tags and referrers on one database, with blobs in memory. */
export function imageServices(db: MetadataDatabase) {
  const base = artifactServices(db)
  const { clock, hlc } = base
  const store = createMemoryBlobStore(new Map(), createSegmentIndex({ db, clock }))
  const intake = createBlobIntake({ db, store, clock })
  const rulesOf = (type: string) => (type === 'DOCKER' || type === 'OCI' ? imageRules : undefined)
  const publishing = createPublishing({ db, intake, clock, hlc, rulesOf })
  const deletion = createPackageDeletion({ db, clock, hlc, rulesOf })
  const packages = createPackages({ db, clock, hlc, rulesOf })
  const manifests = createManifestStore({ db, clock, blobs: store, smallBlobs: createSmallBlobs(store, 1024 * 1024) })
  const deps = { db, clock, manifests, publishing, deletion, packages }
  const operations = { ...manifestOperations(deps), listTags: listTags(deps), listReferrers: listReferrers(deps) }

  /** @throws AppError. */
  async function ask(
    operation: keyof typeof operations,
    repository: Repository,
    image: string,
    reference = '',
    { body = '', query = {}, headers = {}, userId = 'alice' }: Asked = {},
  ): Promise<ImageAnswer> {
    const { signal } = new AbortController()
    const reply = await operations[operation]({
      ...{ repository, image: parseImageName(image)!, reference, userId, query, signal },
      headers: { 'content-length': String(Buffer.byteLength(body)), ...headers },
      openBody: () => Readable.from([Buffer.from(body)], { objectMode: false }),
      authorise: async () => true,
      mayRead: async () => true,
      sourcesOf: async () => [],
      method: 'GET',
      base: `/v2/${repository.project}/${repository.name}/${image}`,
    })
    return answerOf(reply)
  }
  async function answerOf(reply: ImageReply): Promise<ImageAnswer> {
    const { headers = {} } = reply
    if ('status' in reply) return { status: reply.status, headers, body: bytesOf(reply.body) }
    if (!('file' in reply)) throw new Error('a blob')
    const { digest, sizeBytes } = reply.file
    return {
      status: 200,
      headers,
      body: await manifests.bytesOf({ digest: digest!, sizeBytes }, AbortSignal.timeout(5_000)),
    }
  }
  /** As an upload leaves it. @returns its descriptor. */
  async function pushBlob(
    { id: repoId }: Repository,
    image: string,
    text: string,
    mediaType = 'application/x',
    algorithm = 'sha256',
  ) {
    const { signal } = new AbortController()
    await using staged = await store.receive(Readable.from([Buffer.from(text)], { objectMode: false }), {}, signal)
    await intake.prepare([staged], signal)
    const name = nameOf(text, algorithm)
    const { digest, sizeBytes } = staged
    await db.transact(async (trx) => {
      await intake.claim(trx, [staged], signal)
      await keepLoose(trx, [{ repoId, image, name, digest, sizeBytes }], clock.now())
    })
    return { mediaType, digest: name, size: sizeBytes }
  }
  return {
    ...base,
    ...{ store, packages, deletion, publishing, manifests, ask, pushBlob },
    push: (repository: Repository, image: string, reference: string, document: object | string, headers = {}) =>
      ask('putManifest', repository, image, reference, { body: textOf(document), headers }),
    /** The failure as its client reads it. */
    async refused(
      run: Promise<unknown>,
      operation: OperationName = 'putManifest',
    ): Promise<OciFailure & { message: string }> {
      try {
        await run
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        return { ...ociFailureOf(error, operation, 404), message: error.message }
      }
      throw new Error('was accepted')
    },
  }
}
export type ImageServices = ReturnType<typeof imageServices>

const bytesOf = (body: ProtocolReply['body']): Buffer =>
  body === undefined
    ? Buffer.alloc(0)
    : Buffer.from(Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body))

export const textOf = (document: object | string): string =>
  typeof document === 'string' ? document : JSON.stringify(document)
export const nameOf = (document: object | string, algorithm = 'sha256'): ContentName =>
  `${algorithm}:${createHash(algorithm).update(textOf(document)).digest('hex')}` as ContentName
export const descriptorOf = (document: object, mediaType = OCI_MANIFEST, more: object = {}) => ({
  ...{ mediaType, digest: nameOf(document), size: Buffer.byteLength(textOf(document)) },
  ...more,
})

/** What is not said here becomes a field of the manifest. */
interface ImageLook extends Readonly<Record<string, unknown>> {
  /** The layer's. */
  readonly text?: string
  readonly config?: object
}
/** An image with a config and one layer, pushed as blobs; not the manifest. */
export async function makeImage(
  on: ImageServices,
  repository: Repository,
  image: string,
  { text = 'layer', config = { os: 'linux', architecture: 'amd64' }, ...more }: ImageLook = {},
) {
  return {
    ...{ schemaVersion: 2, mediaType: OCI_MANIFEST },
    config: await on.pushBlob(repository, image, JSON.stringify(config), OCI_CONFIG),
    layers: [await on.pushBlob(repository, image, text, 'application/vnd.oci.image.layer.v1.tar+gzip')],
    ...more,
  }
}
export const indexOf = (children: readonly object[], more: object = {}) => ({
  ...{ schemaVersion: 2, mediaType: OCI_INDEX, manifests: children },
  ...more,
})

/** The use case refuses the type, as long as no format is built; so the row is written as a server with it would. */
export async function makeImageRepository(
  on: Pick<ImageServices, 'db' | 'projects' | 'repositories'>,
  name = 'images',
  type: 'DOCKER' | 'OCI' = 'DOCKER',
): Promise<Repository> {
  if ((await on.projects.find('demo')) === undefined) {
    await on.projects.create({ name: 'demo', displayName: 'demo', description: '' }, 'admin')
  }
  const made = await on.repositories.create({ project: 'demo', name, type: 'GENERIC' }, 'admin')
  await on.db.transact((trx) => trx.updateTable('repository').set({ type }).where('id', '=', made.id).execute())
  return { ...made, type }
}
export type { ImageName }
