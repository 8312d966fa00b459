import { messageOf } from '../../core/errors.ts'
import { LinkDown, RemoteRefusal } from '../../remotes/transport/failures.ts'
import type { Outage } from '../limits/circuit.ts'

/** Why nobody talks to a target at the moment. */
export const outageError = ({ since, nextTryAt, reason }: Outage): LinkDown =>
  new LinkDown(`it does not answer since ${at(since)}, next try at ${at(nextTryAt)}; last: ${reason}`)
const at = (time: number): string => new Date(time).toISOString()

/** What ended the work on a link, with what to do about it where that is known. @param cluster the name of the target. */
export function linkFailureReason(error: unknown, cluster: string): string {
  const message = messageOf(error)
  if (!(error instanceof RemoteRefusal)) return message
  if (error.status === 401) return `${message}: check username and password of the cluster [${cluster}]`
  if (error.status === 403) {
    return `${message}: give the user of the cluster [${cluster}] the right to replicate there, or name an administrator`
  }
  return message
}
