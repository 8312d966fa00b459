/** Identities from outside, so that tests can foresee them. */
export interface Ids {
  /** 24 hex digits, ascending by creation time (contract: `id`). */
  id(): string
  /** 32 hex digits, random (contract: `key`). */
  key(): string
}
/** Randomness from outside. */
export interface Random {
  /** In [0, 1). */
  next(): number
  /** Cryptographically strong. */
  bytes(count: number): Buffer
}
