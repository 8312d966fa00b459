import type { FastifyRequest } from 'fastify'
import type { Supply } from '../../artifacts/proxies/proxies.ts'
import type { Asker } from '../../artifacts/views/asker.ts'
import { type Digest, digestHex } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'

/** Lets a repository that shows or fetches from others ask in the caller's name. */
export function askerOf(request: FastifyRequest): Asker {
  const { via } = request.headers
  return {
    via,
    async mayRead({ project, name }, path, extent) {
      try {
        await request.authorise('READ', { projectId: project, repoName: name, path, extent })
        return true
      } catch (error) {
        if (hasCode(error, 'PERMISSION_DENIED', 'ACCOUNT_PERMISSION_DENIED', 'UNAUTHENTICATED')) return false
        throw error
      }
    },
  }
}

/** RFC 9211. What no upstream has a say in has no such header. */
export function cacheStatusOf(supply: Supply): { 'cache-status'?: string } {
  const words = supply.kind === 'stored' ? STORED[supply.how] : supply.kind === 'arriving' ? FETCHED : PASSED
  return words === undefined ? {} : { 'cache-status': `Entrepot; ${words}` }
}
const STORED = {
  kept: undefined,
  hit: 'hit',
  renewed: 'hit; fwd=stale; fwd-status=304',
  stale: 'hit; fwd=stale; detail=upstream-gave-no-answer',
} as const
const FETCHED = 'fwd=miss; stored'
const PASSED = 'fwd=miss'

/** What can be said of a file that is not here yet. */
export const announcedHeaders = ({
  sizeBytes,
  digest,
}: {
  sizeBytes: number | undefined
  digest: Digest | undefined
}) => ({
  ...(sizeBytes === undefined ? {} : { 'content-length': sizeBytes }),
  ...(digest === undefined ? {} : { etag: `"${digestHex(digest)}"`, 'x-checksum-sha256': digestHex(digest) }),
  'cache-control': 'no-cache',
})

/** What is known of a file that is sent while it comes. */
export const liveFile = (supply: Exclude<Supply, { readonly kind: 'stored' }>) =>
  supply.kind === 'arriving' ? supply.arrival : supply.file

/** Whether the answer depends on what the whole file is. */
export const needsWhole = ({ range, ...headers }: FastifyRequest['headers']): boolean =>
  range !== undefined || CONDITIONS.some((name) => headers[name] !== undefined)
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range'] as const
