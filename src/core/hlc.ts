/**
 * Hybrid logical clock (sync.md B.2): 48 bits of milliseconds and a 16-bit counter, kept as 16 hex digits so that text order is
 * clock order in both databases and no number exceeds 2^53.
 */
export type Hlc = string & { readonly __brand: 'Hlc' }

export const HLC_ZERO = '0000000000000000' as Hlc

export function makeHlc(ms: number, counter: number): Hlc {
  return (ms.toString(16).padStart(12, '0') + counter.toString(16).padStart(4, '0')) as Hlc
}
export const hlcMs = (hlc: Hlc): number => Number.parseInt(hlc.slice(0, 12), 16)

export function parseHlc(text: string): Hlc | undefined {
  return /^[0-9a-f]{16}$/.test(text) ? (text as Hlc) : undefined
}

/** Hands out stamps that only grow, also when the wall clock steps back, and that are above every stamp seen from outside. */
export class HlcClock {
  #ms = 0
  #counter = 0
  readonly #now: () => number
  constructor(now: () => number) {
    this.#now = now
  }
  next(): Hlc {
    const now = this.#now()
    if (now > this.#ms) {
      this.#ms = now
      this.#counter = 0
    } else if (++this.#counter > 0xffff) {
      this.#ms++
      this.#counter = 0
    }
    return makeHlc(this.#ms, this.#counter)
  }
  /** Takes note of a stamp made elsewhere. */
  observe(hlc: Hlc): void {
    const ms = hlcMs(hlc)
    const counter = Number.parseInt(hlc.slice(12), 16)
    if (ms > this.#ms || (ms === this.#ms && counter > this.#counter)) {
      this.#ms = ms
      this.#counter = counter
    }
  }
}
