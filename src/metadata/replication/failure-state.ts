import { hash } from 'node:crypto'
import type { FailureKind } from '../tables/replication.ts'

/** What failed, and why. */
export interface Failure {
  readonly kind: FailureKind
  /** What happened, to what, what to do. */
  readonly reason: string
}

/** Where an artifact stands that is to be tried again: the columns of its row in the ledger. */
export interface FailureState {
  /** 24 hex digits, the same as long as it keeps failing. */
  readonly id: string
  readonly kind: FailureKind
  readonly reason: string
  /** How often it failed in a row. */
  readonly attempts: number
  /** UTC epoch milliseconds; null: not by itself any more. */
  readonly dueAt: number | null
  readonly createdAt: number
  readonly modifiedAt: number
}

/** replication.md 3.9: it is given up after so many, until somebody asks for it or the task runs again. */
export const MOST_ATTEMPTS = 10
const FIRST_PAUSE_MS = 30_000
const MOST_PAUSE_MS = 3_600_000
/** Shares of a pause that are left to chance, so that what failed together does not come back together. */
const JITTER = 0.2

/** The state after one more failure. @param earlier what its row said until now. */
export function failedAgain(
  { linkId, path }: { readonly linkId: number; readonly path: string },
  { kind, reason }: Failure,
  earlier: Pick<FailureState, 'id' | 'attempts' | 'createdAt'> | undefined,
  now: number,
): FailureState {
  const attempts = (earlier?.attempts ?? 0) + 1
  const chance = hash('sha256', JSON.stringify([linkId, path, now]), 'hex')
  return {
    id: earlier?.id ?? chance.slice(0, 24),
    kind,
    reason,
    attempts,
    dueAt: attempts < MOST_ATTEMPTS ? now + pauseAfter(attempts, Number.parseInt(chance.slice(24, 32), 16)) : null,
    createdAt: earlier?.createdAt ?? now,
    modifiedAt: now,
  }
}

/** @param chance 32 random bits. */
function pauseAfter(attempts: number, chance: number): number {
  const pauseMs = Math.min(MOST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempts - 1))
  return Math.round(pauseMs * (1 - JITTER / 2 + (JITTER * chance) / 2 ** 32))
}
