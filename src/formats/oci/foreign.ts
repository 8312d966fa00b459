import { mapConcurrent } from '../../core/concurrency.ts'
import { type ContentName, parseContentName } from '../../core/content-name.ts'
import { AppError, messageOf } from '../../core/errors.ts'
import { parseRegistryAddress, registryUrl, resolveRegistry } from '../../remotes/oci/registry-address.ts'
import { createRegistryClient, knocking, type RegistryClient } from '../../remotes/oci/registry-client.ts'
import { reasonsOfFailure } from '../../remotes/oci/registry-failure.ts'
import { checkResolved } from '../../remotes/outgoing-url.ts'
import type {
  ForeignDeps,
  ForeignFile,
  ForeignPushOptions,
  ForeignRegistries,
  ForeignRegistry,
  ForeignVersion,
} from '../foreign.ts'
import { parseManifest } from './manifest.ts'

/** Of one version. Several versions are pushed at once. */
const BLOBS_AT_ONCE = 4
/** From here on it is remembered how far an upload got. */
const REMEMBERED_BYTES = 64 * 1024 * 1024
/** To ask whether the registry has one costs as much as to send it. */
const SMALL_BYTES = 64 * 1024
/** One question for all of them is cheaper from here on. */
const LEAST_SMALL_BLOBS = 2
/** Names of contents that are known to be there, of one session. */
const MOST_KNOWN = 200_000

/** Images to registries of others, by the distribution specification 1.1 (replication.md 4.2). */
export function ociForeignRegistries(deps: ForeignDeps): ForeignRegistries {
  return {
    connect: (address) => createOciForeignRegistry(createRegistryClient(address, deps)),
    async assumedUrl(address, signal) {
      const parsed = parseRegistryAddress('registry', address, deps.rules)
      const url = registryUrl(parsed, parsed.scheme ?? 'https')
      await checkResolved('registry', new URL(url), deps.rules, signal)
      return url
    },
    async reach({ address, ...login }, signal) {
      const parsed = parseRegistryAddress('registry', address, deps.rules)
      const resolving = { clock: deps.clock, knock: knocking(login, deps) }
      const url = await resolveRegistry(resolving, parsed, { withCredentials: login.username !== undefined }, signal)
      using client = createRegistryClient({ url, ...login }, deps)
      try {
        return { url, ...(await client.check(signal)) }
      } catch (error) {
        signal.throwIfAborted()
        const { host } = new URL(url)
        const message = `remote cluster [${host}] connect error: ${messageOf(error)}`
        throw new AppError('CLUSTER_CONNECT_ERROR', message, { registry: host }, { cause: error })
      }
    },
  }
}

export function createOciForeignRegistry(client: RegistryClient): ForeignRegistry {
  /** Content → repositories that have it, or are getting it. */
  const known = new Map<ContentName, Map<string, Promise<boolean>>>()
  /** Whether a repository was not there when we came: of its small blobs there are then none but ours. */
  const lacking = new Map<string, Promise<boolean>>()

  function placesOf(name: ContentName): Map<string, Promise<boolean>> {
    const there = known.get(name)
    if (there !== undefined) return there
    if (known.size >= MOST_KNOWN) known.clear()
    const places = new Map<string, Promise<boolean>>()
    known.set(name, places)
    return places
  }

  /** Asked once, and only when that saves questions. */
  function isLacking(repository: string, blobs: readonly ForeignBlob[], signal: AbortSignal): Promise<boolean> {
    const asked = lacking.get(repository)
    if (asked !== undefined) return asked
    const small = blobs.filter((blob) => isSmall(blob) && !placesOf(blob.name).has(repository))
    if (small.length < LEAST_SMALL_BLOBS) return Promise.resolve(false)
    if (lacking.size >= MOST_KNOWN) lacking.clear()
    // Whoever asks may be stopped: the others ask for each blob then.
    const asking = client.lacksRepository(repository, signal).catch(() => {
      lacking.delete(repository)
      return false
    })
    lacking.set(repository, asking)
    return asking
  }

  /** @returns whether it had to be sent. Whoever needs it meanwhile waits for the same. */
  function ensure(repository: string, blob: ForeignBlob, options: ForeignPushOptions, signal: AbortSignal) {
    const places = placesOf(blob.name)
    const under = places.get(repository)
    if (under !== undefined) {
      // The one who sends may be stopped: then this one does it himself.
      return under
        .then(() => false)
        .catch(() => {
          signal.throwIfAborted()
          return retake(places, repository, blob, options, signal)
        })
    }
    return retake(places, repository, blob, options, signal)
  }
  function retake(
    places: Map<string, Promise<boolean>>,
    repository: string,
    blob: ForeignBlob,
    options: ForeignPushOptions,
    signal: AbortSignal,
  ): Promise<boolean> {
    const [other] = [...places].filter(([place]) => place !== repository)
    const elsewhere = other && { repository: other[0], arrives: other[1].then(isThere, isNot) }
    const sending = bring(repository, blob, elsewhere, options, signal)
    places.set(repository, sending)
    sending.catch(() => {
      if (places.get(repository) === sending) places.delete(repository)
    })
    return sending
  }
  async function bring(
    repository: string,
    blob: ForeignBlob,
    elsewhere: { readonly repository: string; readonly arrives: Promise<boolean> } | undefined,
    options: ForeignPushOptions,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { uploads } = options
    const { name, file } = blob
    const isAbsent = isSmall(blob) && (await lacking.get(repository))
    if (!isAbsent && (await client.hasBlob(repository, name, signal))) return false
    // One that is on its way there yet cannot be mounted.
    const isElsewhere = elsewhere !== undefined && (await elsewhere.arrives)
    const mount = isElsewhere ? await client.mountBlob(repository, name, elsewhere.repository, signal) : undefined
    if (mount?.mounted) return false
    const isRemembered = file.sizeBytes >= REMEMBERED_BYTES
    const from = (isRemembered ? await uploads.find(repository, name) : undefined) ?? mount?.from
    const source = {
      sizeBytes: file.sizeBytes,
      open: (range: { start: number; end: number }, stop: AbortSignal) => options.open(file, range, stop),
    }
    const onPoint = isRemembered
      ? (place: { location: string; offset: number }) => uploads.save(repository, name, place)
      : undefined
    await client.pushBlob(repository, name, source, { from, onPoint, onBytes: options.onBytes }, signal)
    if (isRemembered) await uploads.forget(repository, name)
    return true
  }

  async function putManifest(
    repository: string,
    references: readonly string[],
    file: ForeignFile,
    options: ForeignPushOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const bytes = await options.read(file, signal)
    const { mediaType, subject, artifactType, annotations } = parseManifest(bytes, undefined)
    for (const reference of references) {
      const stored = await client.putManifest(repository, reference, { bytes, mediaType }, signal)
      if (subject === undefined || stored.subject !== undefined) continue
      const type = artifactType === undefined ? {} : { artifactType }
      const about = { mediaType, digest: stored.digest, size: bytes.length, ...type, annotations }
      await client.addReferrer(repository, subject.digest, about, signal)
    }
  }
  /** What was seen there earlier may have been collected by the registry since. */
  function forget(repository: string, blobs: readonly ForeignBlob[]): void {
    for (const { name } of blobs) known.get(name)?.delete(repository)
    lacking.set(repository, Promise.resolve(false))
  }

  return {
    check: (signal) => client.check(signal),
    async find(packageName, name, signal) {
      return (await client.headManifest(client.repositoryOf(packageName), name, signal))?.digest
    },

    async push(version, options, signal) {
      const repository = client.repositoryOf(version.packageName)
      const { blobs, children, main } = sorted(version)
      let [sentBlobs, sentBytes] = [0, 0]
      const send = async (blob: ForeignBlob, stop: AbortSignal) => {
        if (!(await ensure(repository, blob, options, stop))) return
        sentBlobs++
        sentBytes += blob.file.sizeBytes
      }
      const bring = async () => {
        await isLacking(repository, blobs, signal)
        await mapConcurrent(blobs, BLOBS_AT_ONCE, send, signal)
        for (const { name, file } of children) await putManifest(repository, [name], file, options, signal)
        const names = version.tags.length === 0 ? [version.digest] : version.tags
        await putManifest(repository, names, main, options, signal)
      }
      try {
        await bring()
      } catch (error) {
        if (!reasonsOfFailure(error).some((reason) => LACKING.has(reason))) throw error
        forget(repository, blobs)
        await bring()
      }
      return { sentBlobs, sentBytes }
    },

    [Symbol.dispose]: () => client[Symbol.dispose](),
  }
}

/** The registry lacks what a manifest names. */
const LACKING: ReadonlySet<string> = new Set(['MANIFEST_BLOB_UNKNOWN', 'BLOB_UNKNOWN', 'MANIFEST_UNKNOWN'])

const isSmall = ({ file }: ForeignBlob): boolean => file.sizeBytes <= SMALL_BYTES
const isThere = () => true
const isNot = () => false

interface ForeignBlob {
  readonly name: ContentName
  readonly file: ForeignFile
}

const BLOB = /\/blobs\/(sha256|sha512)__([0-9a-f]+)$/
const CHILD = /\/manifest\/(sha256:[0-9a-f]+|sha512:[0-9a-f]+)\/(?:list\.)?manifest\.json$/

/** What a version claims, by the places that its files have (core.md 12.1, "Node mapping"). */
function sorted({ files, packageName, digest }: ForeignVersion) {
  const main = files.at(-1)
  if (main === undefined) throw lost(packageName, digest)
  const named = files.slice(0, -1).map((file) => ({ file, ...nameAt(file.path) }))
  const blobs = named.flatMap(({ file, blob }) => (blob === undefined ? [] : [{ name: blob, file }]))
  const children = named.flatMap(({ file, manifest }) => (manifest === undefined ? [] : [{ name: manifest, file }]))
  return { blobs, children, main }
}
function nameAt(path: string): {
  readonly blob?: ContentName | undefined
  readonly manifest?: ContentName | undefined
} {
  const [, algorithm, hex] = BLOB.exec(path) ?? []
  if (algorithm !== undefined) return { blob: parseContentName(`${algorithm}:${hex}`) }
  return { manifest: parseContentName(CHILD.exec(path)?.[1] ?? '') }
}

const lost = (packageName: string, digest: string) =>
  new AppError('CONTENT_MISSING', `The files of ${packageName}@${digest} are missing: look at the node's storage`, {
    digest,
  })
