import { messageOf } from '../../core/errors.ts'
import { LinkDown } from '../../remotes/transport/failures.ts'
import type { Outcome } from './outcome.ts'
import type { Care } from './suspects.ts'
import { nameOf, type WorkItem } from './work-item.ts'

interface CarefulDeps {
  readonly care: Care
  deliver(items: readonly WorkItem[]): Promise<Outcome[]>
  /** In order; makes them count. */
  settle(items: readonly WorkItem[], outcomes: readonly Outcome[]): Promise<void>
  now(): number
}

/**
 * Delivers artifacts one by one, as long as care is needed; a suspect after the first of the others that gets through, or when no other is
 * left. @returns pages of what was not looked at. @throws what broke the connection; next time more is known.
 */
export async function deliverCarefully(
  pages: AsyncIterable<readonly WorkItem[]>,
  { care, deliver, settle, now }: CarefulDeps,
): Promise<AsyncIterable<readonly WorkItem[]>> {
  const left = pages[Symbol.asyncIterator]()
  let aside: WorkItem[] = []
  for (let page = await left.next(); !page.done; page = await left.next()) {
    for (const [index, item] of page.value.entries()) {
      if (!care.isCareful && aside.length === 0) return following(page.value.slice(index), left)
      if (care.isSuspect(item.path)) {
        aside.push(item)
        continue
      }
      const outcomes = await tryAlone(item)
      const earlier: Outcome[] = []
      // The line is good: whatever breaks it right now does so by itself.
      for (const suspect of aside) earlier.push(...(await judge(suspect, () => care.condemn(suspect.path))))
      await settle([...aside, item], [...earlier, ...outcomes])
      aside = []
      care.passed()
    }
  }
  const outcomes: Outcome[] = []
  for (const suspect of aside) outcomes.push(...(await judge(suspect, () => undefined)))
  if (aside.length > 0) await settle(aside, outcomes)
  return following([], left)

  async function judge(item: WorkItem, onBreak: () => void): Promise<Outcome[]> {
    const verdict = care.verdictOn(item.path)
    if (verdict !== undefined) return [failedBy(item, verdict, now())]
    try {
      return await tryAlone(item)
    } catch (error) {
      if (error instanceof LinkDown) onBreak()
      throw error
    }
  }
  async function tryAlone(item: WorkItem): Promise<Outcome[]> {
    try {
      return await deliver([item])
    } catch (error) {
      if (error instanceof LinkDown) care.brokeAlone(item.path, messageOf(error))
      throw error
    }
  }
}

async function* following(first: readonly WorkItem[], left: AsyncIterator<readonly WorkItem[]>) {
  if (first.length > 0) yield first
  for (let page = await left.next(); !page.done; page = await left.next()) yield page.value
}

const failedBy = (item: WorkItem, verdict: string, at: number): Outcome => ({
  ...{ item, result: 'failed', conflict: false, blob: 'not-sent', attempts: 1, startedAt: at, endedAt: at },
  reason: `${nameOf(item)} could not be sent: ${verdict}`,
})
