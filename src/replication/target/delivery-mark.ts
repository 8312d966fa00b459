/** `node.via_mark`: the run (48 bits) × 2, + 1 when it replaced a conflict. */
export const deliveryMark = {
  write: (run: number, conflict: boolean): number => run * 2 + Number(conflict),
  /** How the run delivered the row; undefined when it was another run, or none. */
  read(mark: number | null, run: number): 'clean' | 'conflict' | undefined {
    if (mark === null || Math.floor(mark / 2) !== run) return undefined
    return mark % 2 === 1 ? 'conflict' : 'clean'
  },
}
