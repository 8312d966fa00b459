import { setImmediate as yieldThread } from 'node:timers/promises'
import { settle } from '../../artifacts/nodes/settle.ts'
import type { Digest } from '../../core/digest.ts'
import { AppError, type ErrorCode } from '../../core/errors.ts'
import type { Transaction } from '../../metadata/database.ts'
import { exceedQuotas } from '../../metadata/repositories/usage.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import { isGivenUp } from '../../metadata/storage/packed-blobs.ts'
import type { DecodedNode } from '../records/decoded.ts'
import type { Contents, Fetched } from './contents.ts'
import { type NodeOutcome, type NodeRules, putNodes } from './node-batch.ts'
import type { RestoreContext } from './restore-deps.ts'

/** Which of the digests are here, with their sizes; they are kept from collection until the transaction ends. */
export type Claim = (trx: Transaction, digests: ReadonlySet<Digest>) => Promise<ReadonlyMap<Digest, number>>

/** Nodes that shall be written, with contents that are not here. */
export interface PreparedNodes extends AsyncDisposable {
  readonly nodes: readonly DecodedNode[]
  readonly fetched: Fetched
}

const MAX_ATTEMPTS = 3

/**
 * Runs one transaction that refers to contents of a backup: they are packed and published before it, and claimed in it once `work` has
 * locked its nodes. Quotas are exceeded. `work` may run again.
 */
export async function withContents<T>(
  { db, intake, clock }: Pick<RestoreContext['deps'], 'db' | 'intake' | 'clock'>,
  { small, staged }: Fetched,
  work: (trx: Transaction, claim: (digests: ReadonlySet<Digest>) => Promise<ReadonlyMap<Digest, number>>) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const own = [...staged.values()]
  if (own.length > 0) await intake.prepare(own, signal)
  for (let attempts = 1; ; attempts++) {
    const packed = small.size === 0 ? [] : await intake.pack([...small.values()], signal)
    const claimIn = (trx: Transaction) => async (digests: ReadonlySet<Digest>) => {
      if (packed.length > 0) await intake.claimPacked(trx, packed)
      if (own.length > 0) await intake.claim(trx, own, signal)
      const here = new Map([...packed, ...own].map(({ digest, sizeBytes }) => [digest, sizeBytes]))
      const elsewhere = [...digests].filter((digest) => !here.has(digest))
      for (const [digest, sizeBytes] of await touchBlobs(trx, elsewhere, clock.now())) here.set(digest, sizeBytes)
      return here
    }
    try {
      await yieldThread()
      signal.throwIfAborted()
      return await settle(() =>
        db.transact(async (trx) => {
          exceedQuotas(trx)
          return work(trx, claimIn(trx))
        }),
      )
    } catch (error) {
      // The segment was given up meanwhile: packing again uses another.
      if (!isGivenUp(error) || attempts === MAX_ATTEMPTS) throw error
    }
  }
}

/** What is not about one node. */
const ENDS_ALL: ReadonlySet<ErrorCode> = new Set(['STORAGE_UNAVAILABLE', 'REPOSITORY_NOT_FOUND', 'RECEIVE_FAILED'])

/**
 * Writes batches of nodes, each in one transaction. When one is refused as a whole it goes in halves, so that a bad node takes no
 * good ones along. @returns what became of them all.
 */
export async function writeNodes(
  context: RestoreContext,
  contents: Contents,
  rules: NodeRules,
  { nodes, fetched }: Pick<PreparedNodes, 'nodes' | 'fetched'>,
  signal: AbortSignal,
): Promise<NodeOutcome[]> {
  const { hlc, clock } = context.deps
  async function inOne(some: readonly DecodedNode[], with_: Fetched): Promise<NodeOutcome[]> {
    if (some.length === 0) return []
    try {
      const put = (trx: Transaction, claim: Parameters<typeof putNodes>[3]) =>
        putNodes(trx, rules, some, claim, hlc, clock.now())
      return [await withContents(context.deps, with_, put, signal)]
    } catch (error) {
      if (signal.aborted || !(error instanceof AppError) || ENDS_ALL.has(error.code)) throw error
      if (some.length > 1) {
        const half = Math.ceil(some.length / 2)
        return [...(await inOne(some.slice(0, half), with_)), ...(await inOne(some.slice(half), with_))]
      }
      return [refusedOnly(some[0]!, error.message)]
    }
  }

  const outcomes = await inOne(nodes, fetched)
  for (let attempts = 1; attempts < MAX_ATTEMPTS; attempts++) {
    const lacking = outcomes.flatMap((outcome) => outcome.lacking.splice(0))
    if (lacking.length === 0) return outcomes
    await using more = await contents.fetch(lacking.map(statOf), signal)
    const { good, refused } = withoutBroken(lacking, more)
    outcomes.push(...refused, ...(await inOne(good, more)))
  }
  const left = outcomes.flatMap((outcome) => outcome.lacking.splice(0))
  return [...outcomes, ...left.map((node) => refusedOnly(node, 'its content was collected again and again'))]
}

/** Those whose content the backup does not give are refused. */
export function withoutBroken(nodes: readonly DecodedNode[], { broken }: Pick<Fetched, 'broken'>) {
  const whyOf = (node: DecodedNode) => (node.digest === undefined ? undefined : broken.get(node.digest))
  return {
    good: nodes.filter((node) => whyOf(node) === undefined),
    refused: nodes.flatMap((node) => {
      const why = whyOf(node)
      return why === undefined ? [] : [refusedOnly(node, why.message)]
    }),
  }
}

export const statOf = ({ digest, sizeBytes }: DecodedNode) => ({ digest: digest!, sizeBytes })

const refusedOnly = (node: DecodedNode, reason: string): NodeOutcome => ({
  ...{ written: 0, unchanged: 0, kept: 0, strangers: [], deferred: [], lacking: [] },
  refused: [{ node, reason }],
})
