/**
 * A short bound between two paths that follow each other: above `left`, not above `right`. The shorter bounds are, the smaller is a
 * message of many ranges.
 */
export function separatorOf(left: string, right: string): string {
  let shared = 0
  while (shared < left.length && left.charCodeAt(shared) === right.charCodeAt(shared)) shared++
  // Never between the halves of a character.
  if (shared > 0 && isHighSurrogate(right.charCodeAt(shared - 1))) shared--
  return right.slice(0, shared + (isHighSurrogate(right.charCodeAt(shared)) ? 2 : 1))
}
const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff
