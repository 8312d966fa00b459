import type { Verdict } from '../remotes/cluster/messages.ts'
import type { ConflictStrategy } from '../tasks/task.ts'

/** What to do with one artifact, and how it counts (replication.md 3.5). */
export type Step =
  | { readonly do: 'keep'; readonly as: 'unchanged' | 'conflict' }
  /** This run wrote it before it was interrupted: it counts as written, once. */
  | { readonly do: 'count'; readonly conflict: boolean }
  | { readonly do: 'write'; readonly expect: string | null; readonly sendBlob: boolean; readonly conflict: boolean }
  | { readonly do: 'fail'; readonly conflict: boolean; readonly reason: string }

/**
 * Equal content is never a conflict; what this link delivered earlier and nobody touched since is moved forward; everything
 * else that differs is a conflict, which the strategy decides. Pure.
 */
export function planCopy(path: string, verdict: Verdict, strategy: ConflictStrategy): Step {
  const write = { do: 'write', expect: verdict.rev, sendBlob: !verdict.hasBlob } as const
  switch (verdict.there) {
    case 'absent':
    case 'ours':
      return { ...write, conflict: false }
    case 'same':
      if (verdict.delivered !== undefined) return { do: 'count', conflict: verdict.delivered === 'conflict' }
      return { do: 'keep', as: 'unchanged' }
    case 'folder':
      return {
        do: 'fail',
        conflict: true,
        reason: `File [${path}] conflict: the target has a folder there, or a file where it needs a folder. Move one of them away.`,
      }
    case 'other':
      if (strategy === 'OVERWRITE') return { ...write, conflict: true }
      if (strategy === 'SKIP') return { do: 'keep', as: 'conflict' }
      return { do: 'fail', conflict: true, reason: `File [${path}] conflict: the target has other content there.` }
  }
}
