import { type ContentName, isImageName, isTag, parseContentName } from '../../core/content-name.ts'
import { messageOf } from '../../core/errors.ts'
import type { OutgoingRules } from '../outgoing-url.ts'
import { notTrue, type RegistryAnswer, reasonsOfFailure, statusOf } from './registry-failure.ts'
import type { ManifestContent, RegistryManifests } from './registry-manifests.ts'
import type { RegistryCall, RegistrySession } from './registry-session.ts'
import { pullScope, pushScope, repositoryPath } from './repository-path.ts'
import { nextLocation } from './upload-location.ts'

/** Of a manifest that is about another one, as an index describes it. */
export interface ReferrerDescriptor {
  readonly mediaType: string
  readonly digest: ContentName
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export interface RegistryListings {
  /** Pages of tags, in the registry's order. @throws AppError UPSTREAM_FAILED, of a repository that is not there with `status` 404. */
  listTags(repository: string, signal: AbortSignal): AsyncIterable<readonly string[]>
  /** Whether it says that it has no such repository. One that has will not, nor one that does not tell. */
  lacksRepository(repository: string, signal: AbortSignal): Promise<boolean>
  /** Pages of repositories; few registries tell all. */
  catalog(signal: AbortSignal): AsyncIterable<readonly string[]>
  /**
   * What is about a manifest; of a registry without the referrers API, what the tag that stands in for it names.
   * @param artifactType undefined: of all types.
   */
  listReferrers(
    repository: string,
    subject: ContentName,
    artifactType: string | undefined,
    signal: AbortSignal,
  ): Promise<ReferrerDescriptor[]>
  /**
   * Adds to the tag that stands in for the referrers API, for whoever pushed `referrer` and got no `subject` back. Two at once may lose one
   * of them: the protocol has no way around that.
   */
  addReferrer(
    repository: string,
    subject: ContentName,
    referrer: ReferrerDescriptor,
    signal: AbortSignal,
  ): Promise<void>
}

const PAGE_ENTRIES = 1_000
/** Of one list: a registry that never ends is not believed. */
const MAX_PAGES = 10_000
const INDEX = 'application/vnd.oci.image.index.v1+json'
const NO_REFERRERS: ReadonlySet<number> = new Set([404, 405, 501])

interface Deps {
  readonly session: RegistrySession
  readonly manifests: RegistryManifests
  readonly rules: OutgoingRules
}

export function createRegistryListings({ session, manifests, rules }: Deps): RegistryListings {
  /** It answered without it once; it will not learn it while we run. */
  let knowsReferrers = true

  async function* pages(
    call: Omit<RegistryCall, 'to'>,
    first: URL,
    signal: AbortSignal,
  ): AsyncGenerator<RegistryAnswer> {
    let to: URL | undefined = first
    const seen = new Set<string>()
    while (to !== undefined) {
      if (seen.has(to.href) || seen.size === MAX_PAGES) throw notTrue(session.host, call.what, 'pages that never end')
      seen.add(to.href)
      const answer: RegistryAnswer = await session.send({ ...call, to }, signal)
      yield answer
      to = nextPage(answer, to, call.what)
    }
  }

  function nextPage({ headers }: RegistryAnswer, asked: URL, what: string): URL | undefined {
    const link = String(headers.link ?? '').slice(0, 8_192)
    const [, target] = /<([^<>]*)>[^,<]*;\s*rel\s*=\s*"?next\b/i.exec(link) ?? []
    if (target === undefined) return undefined
    let next: URL
    try {
      next = nextLocation(target, asked, rules)
    } catch (error) {
      throw notTrue(session.host, what, `a Link that cannot be followed: ${messageOf(error)}`)
    }
    if (next.origin !== asked.origin) throw notTrue(session.host, what, `a Link to another host, ${next.host}`)
    return next
  }

  async function* names(
    call: Omit<RegistryCall, 'to'>,
    path: string,
    field: string,
    isName: (text: string) => boolean,
    signal: AbortSignal,
  ) {
    const first = new URL(`${path}?n=${PAGE_ENTRIES}`, session.origin)
    for await (const { body } of pages(call, first, signal)) {
      // A list without entries is null at some.
      const entries = fieldOf(body, field) ?? []
      if (!Array.isArray(entries)) throw notTrue(session.host, call.what, `no list of ${field}`)
      yield entries.filter((entry): entry is string => typeof entry === 'string' && isName(entry))
    }
  }

  async function fromApi(
    repository: string,
    subject: ContentName,
    artifactType: string | undefined,
    signal: AbortSignal,
  ) {
    const first = new URL(repositoryPath(repository, `referrers/${subject}`), session.origin)
    if (artifactType !== undefined) first.searchParams.set('artifactType', artifactType)
    const call = {
      ...{
        method: 'GET' as const,
        what: `GET of referrers of ${subject} in ${repository}`,
        scopes: [pullScope(repository)],
      },
      ...{ headers: { accept: INDEX }, accepts: [200] },
    }
    const found: ReferrerDescriptor[] = []
    for await (const { body } of pages(call, first, signal)) found.push(...descriptorsIn(body))
    return found
  }

  const standInFor = (subject: ContentName): string => subject.replace(':', '-').slice(0, 128)

  async function fromStandIn(
    repository: string,
    subject: ContentName,
    signal: AbortSignal,
  ): Promise<ReferrerDescriptor[]> {
    const index = await manifests.getManifest(repository, standInFor(subject), signal)
    return index === undefined ? [] : descriptorsIn(index.bytes)
  }

  return {
    listTags(repository, signal) {
      const call = {
        ...{ method: 'GET' as const, what: `GET of tags of ${repository}` },
        ...{ scopes: [pullScope(repository)], accepts: [200] },
      }
      return names(call, repositoryPath(repository, 'tags/list'), 'tags', isTag, signal)
    },
    async lacksRepository(repository, signal) {
      const to = `${repositoryPath(repository, 'tags/list')}?n=1`
      const call = { method: 'GET', to, what: `GET of tags of ${repository}`, accepts: [200] } as const
      try {
        // What comes next is a push.
        await session.send({ ...call, scopes: [pushScope(repository)] }, signal)
        return false
      } catch (error) {
        signal.throwIfAborted()
        return statusOf(error) === 404 && reasonsOfFailure(error).includes('NAME_UNKNOWN')
      }
    },
    catalog(signal) {
      const call = {
        method: 'GET' as const,
        what: 'GET of the catalog',
        scopes: ['registry:catalog:*'],
        accepts: [200],
      }
      return names(call, '/v2/_catalog', 'repositories', isImageName, signal)
    },
    async listReferrers(repository, subject, artifactType, signal) {
      let found: ReferrerDescriptor[] | undefined
      if (knowsReferrers) {
        try {
          found = await fromApi(repository, subject, artifactType, signal)
        } catch (error) {
          if (!NO_REFERRERS.has(statusOf(error) ?? 0)) throw error
          knowsReferrers = reasonsOfFailure(error).some((reason) => reason === 'NAME_UNKNOWN')
        }
      }
      found ??= await fromStandIn(repository, subject, signal)
      // Whether the registry filtered is no matter: filtering twice changes nothing.
      return artifactType === undefined ? found : found.filter((descriptor) => descriptor.artifactType === artifactType)
    },
    async addReferrer(repository, subject, referrer, signal) {
      const there = await fromStandIn(repository, subject, signal)
      if (there.some(({ digest }) => digest === referrer.digest)) return
      const index = { schemaVersion: 2, mediaType: INDEX, manifests: [...there, referrer] }
      const content: ManifestContent = { bytes: Buffer.from(JSON.stringify(index)), mediaType: INDEX }
      await manifests.putManifest(repository, standInFor(subject), content, signal)
    },
  }
}

function fieldOf(body: Buffer, field: string): unknown {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined
  } catch {
    return 'no JSON'
  }
}

/** Those that are well formed. */
function descriptorsIn(body: Buffer): ReferrerDescriptor[] {
  const entries = fieldOf(body, 'manifests')
  if (!Array.isArray(entries)) return []
  return entries.flatMap((entry: unknown) => {
    const { digest, size, mediaType, artifactType, annotations } = (entry ?? {}) as Record<string, unknown>
    const name = typeof digest === 'string' ? parseContentName(digest) : undefined
    if (name === undefined || typeof mediaType !== 'string' || !Number.isSafeInteger(size)) return []
    return [
      {
        ...{ mediaType, digest: name, size: size as number },
        ...(typeof artifactType === 'string' ? { artifactType } : {}),
        ...(typeof annotations === 'object' && annotations !== null
          ? { annotations: annotations as Record<string, string> }
          : {}),
      },
    ]
  })
}
