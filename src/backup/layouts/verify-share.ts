import type { Digest } from '../../core/digest.ts'
import type { Random } from '../../core/ids.ts'
import type { VerifyShare } from './layout.ts'

/** Whether a content is one of those that are read. Which ones is chosen anew each time, but for the equal parts of `subset`. */
export function chosenBy({ percent, subset }: VerifyShare, random: Pick<Random, 'next'>): (digest: Digest) => boolean {
  return (digest) => {
    if (subset !== undefined && Number.parseInt(digest.slice(7, 19), 16) % subset.of !== subset.part - 1) return false
    return percent >= 100 || random.next() * 100 < percent
  }
}
export const readsAll = ({ percent, subset }: VerifyShare): boolean => percent >= 100 && subset === undefined
