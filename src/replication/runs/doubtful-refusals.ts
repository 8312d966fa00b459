import { RemoteRefusal } from '../../remotes/transport/failures.ts'

/**
 * Refusals of a request that the target could not make sense of, in a row and by link: a bit that was turned over on the way looks the
 * same as a request that it will never take. Memory only: whoever begins anew counts anew.
 */
export interface DoubtfulRefusals {
  /** How often the link was refused so; undefined: often enough to believe it, or it is no such refusal. */
  again(error: unknown, link: RefusedLink): number | undefined
  forget(link: Pick<RefusedLink, 'recordId' | 'linkId'>): void
}

export interface RefusedLink {
  readonly recordId: string
  readonly linkId: number
  /** The target took something since the attempt began. */
  readonly progressed: boolean
}

const MOST_IN_A_ROW = 3
const MOST_LINKS = 1_000
/** Contract codes of a parameter or a content that is not as it has to be. */
const UNCLEAR: ReadonlySet<number | undefined> = new Set([250105, 250106])

export function createDoubtfulRefusals(): DoubtfulRefusals {
  const times = new Map<string, number>()
  const nameOf = ({ recordId, linkId }: Pick<RefusedLink, 'recordId' | 'linkId'>) => `${recordId}/${linkId}`
  return {
    again(error, link) {
      const isDoubtful = error instanceof RemoteRefusal && error.status === 400 && UNCLEAR.has(error.wireCode)
      if (!isDoubtful) return undefined
      const name = nameOf(link)
      const before = link.progressed ? 0 : (times.get(name) ?? 0)
      times.delete(name)
      if (before === MOST_IN_A_ROW) return undefined
      if (times.size >= MOST_LINKS) times.delete(times.keys().next().value!)
      times.set(name, before + 1)
      return before + 1
    },
    forget: (link) => void times.delete(nameOf(link)),
  }
}
