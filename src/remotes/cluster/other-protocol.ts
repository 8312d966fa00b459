import { SYNC_PROTOCOL } from './messages.ts'

const MOST_SHOWN = 10

/** What both sides say of a cluster that does not share our protocol. @param who begins the sentence. @param theirs as it came. */
export function otherProtocol(who: string, theirs: readonly unknown[]): string {
  const shown = theirs.filter((version) => typeof version === 'number').slice(0, MOST_SHOWN)
  return `${who} speaks sync protocol ${shown.join(', ')}, this cluster ${SYNC_PROTOCOL}: run the same release on both`
}
