import { isRetryable, messageOf } from '../../core/errors.ts'
import { retryAfterOf } from '../../formats/foreign.ts'
import { LinkDown } from '../../remotes/transport/failures.ts'

/** What may pass is a state of the link to a registry. */
export const asLinkDown = (error: unknown): unknown =>
  isRetryable(error) ? new LinkDown(messageOf(error), { cause: error, retryAfterMs: retryAfterOf(error) }) : error
