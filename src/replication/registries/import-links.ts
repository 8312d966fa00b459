import type { ClusterTarget } from '../../clusters/cluster.ts'
import { notBuilt } from '../../core/errors.ts'
import type { ForeignSources } from '../../formats/foreign.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import type { RemoteStates } from '../runs/remote-states.ts'
import { runImportLink } from './import-run.ts'
import type { VersionRunDeps } from './version-shard.ts'

/** Links whose target is a registry that versions come from. */
export interface ImportLinks {
  /** One run. @returns `later` when somebody else works on it. @throws as `runImportLink`. */
  run(work: LinkWork, target: ClusterTarget, onStored: () => void, signal: AbortSignal): Promise<'ended' | 'later'>
}

export interface ImportLinksDeps extends VersionRunDeps {
  readonly remotes: RemoteStates
  /** How a repository type comes from registries of others; undefined: it does not. */
  sourcesOf(repoType: string): ForeignSources | undefined
}

export function createImportLinks(deps: ImportLinksDeps): ImportLinks {
  const { remotes } = deps
  return {
    async run(work, target, onStored, signal) {
      const { spec, object } = work
      const sources = deps.sourcesOf(object.repoType)
      if (sources === undefined) throw notBuilt(`${object.repoType} from a registry`, 'is not built yet')
      const rate = remotes.rate(spec.taskKey, spec.rateLimit, target)
      try {
        using source = sources.connect(target)
        const end = { name: new URL(target.url).host, source, rate }
        const result = await runImportLink(deps, work, end, onStored, signal)
        remotes.of(target.id).circuit.succeeded()
        return result
      } finally {
        rate.close()
      }
    },
  }
}
