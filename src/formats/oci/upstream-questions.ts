import type { ImageUpstream } from '../../artifacts/images/image-upstreams.ts'
import { upstreamFailed } from '../../artifacts/proxies/upstream-answer.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { statusOf } from '../../remotes/oci/registry-failure.ts'
import { ociError } from './errors.ts'

/** One registry after the other; one that fails does not keep the others from being asked. @returns undefined: none has it. */
export async function askUpstreams<T>(
  upstreams: readonly ImageUpstream[],
  ask: (upstream: ImageUpstream) => Promise<T | undefined>,
): Promise<T | undefined> {
  let failure: AppError | undefined
  for (const upstream of upstreams) {
    try {
      const answer = await ask(upstream)
      if (answer !== undefined) return answer
    } catch (error) {
      // It has no image of such a name.
      if (hasCode(error, 'PARAMETER_INVALID')) continue
      if (!hasCode(error, 'UPSTREAM_FAILED', 'DIGEST_MISMATCH')) throw error
      failure ??= hasCode(error, 'UPSTREAM_FAILED') ? error : upstreamFailed(upstream.client.url, error)
    }
  }
  if (failure !== undefined) throw failure
  return undefined
}

/** A failure of an upstream as a client of ours is told it. */
export function toldToClient(error: unknown, { project, name }: Repository): unknown {
  if (!hasCode(error, 'UPSTREAM_FAILED')) return error
  const status = statusOf(error)
  const message = `The upstream of [${project}/${name}] failed: ${error.message}`
  if (status !== 429) return new AppError('UPSTREAM_FAILED', message, error.detail, { cause: error, retryable: true })
  const waitMs = typeof error.detail.retryAfterMs === 'number' ? error.detail.retryAfterMs : 1_000
  return ociError('TOOMANYREQUESTS', message, undefined, {
    headers: { 'retry-after': String(Math.ceil(waitMs / 1_000)) },
  })
}

/** What came through this server already leads in a circle. @throws AppError UPSTREAM_FAILED. */
export function refuseCircle(via: string | undefined, name: string): void {
  if (via?.split(',').some((hop) => hop.trim().endsWith(` ${name}`)))
    throw upstreamFailed('itself', 'the way to the image leads back to this server')
}
