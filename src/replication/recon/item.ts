import type { ReconPart } from '../../remotes/cluster/recon/recon-message.ts'
import type { Line } from './lines.ts'
import { type Differing, refineInOrder, type Side } from './refine.ts'

/** What the source has still to ask, ascending by path and without overlap. */
export type Item =
  /** A range that differs: it is read and said in more detail when its turn comes. */
  | ({ readonly kind: 'refine'; readonly repeats: number } & Differing)
  /** Ready to be said. `lines`: what a list, or an empty range, was made of. */
  | Asked

export interface Asked {
  readonly kind: 'say'
  readonly part: ReconPart
  readonly lines: readonly Line[]
  /** How often in a row the target said of a list of this very range that it differs, and not where. */
  readonly repeats: number
}

/** What each of the items says when its turn comes, by its place among them. */
export function saidInOrder(side: Side, items: readonly Item[]): (place: number) => Promise<readonly Asked[]> {
  const differing = items.filter((item) => item.kind === 'refine')
  const placeOf = new Map<Item, number>(differing.map((item, place) => [item, place]))
  const refined = refineInOrder(side, differing)
  return async (place) => {
    const item = items[place]!
    if (item.kind === 'say') return [item]
    const { parts, lines } = await refined(placeOf.get(item)!)
    return parts.map((part) => ({ kind: 'say', part, lines, repeats: item.repeats }))
  }
}
