import type { ClusterTarget } from '../../clusters/cluster.ts'
import { invalid, messageOf, notBuilt } from '../../core/errors.ts'
import { isWithinRepository } from '../../core/server-mark.ts'
import type { ForeignRegistries } from '../../formats/foreign.ts'
import { type ClusterHealth, noteHealth } from '../../metadata/replication/clusters.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import type { RemoteStates } from '../runs/remote-states.ts'
import { createForeignContents } from './foreign-contents.ts'
import { asLinkDown } from './link-down.ts'
import { type RegistryEnd, runRegistryLink } from './registry-run.ts'
import type { VersionRunDeps } from './version-shard.ts'

/** Links whose target is a registry of somebody else: what a link to a cluster does by streams, they do by the registry's protocol. */
export interface RegistryLinks {
  /** One run. @returns `later` when somebody else works on it. @throws as `runRegistryLink`. */
  run(work: LinkWork, target: ClusterTarget, onStored: () => void, signal: AbortSignal): Promise<'ended' | 'later'>
  /** To be disposed by whoever asked. @throws AppError OPTION_NOT_BUILT for a type that goes to no registry. */
  connect(work: LinkWork, target: ClusterTarget, signal: AbortSignal): RegistryEnd & Disposable
}

export interface RegistryLinksDeps extends VersionRunDeps {
  readonly store: BlobStore
  readonly remotes: RemoteStates
  /** `serverMark` of this installation. */
  readonly server: string
  /** How a repository type goes to registries of others; undefined: it does not. */
  foreignOf(repoType: string): ForeignRegistries | undefined
}

export function createRegistryLinks(deps: RegistryLinksDeps): RegistryLinks {
  const { db, clock, store, remotes } = deps

  function connect(
    { spec, object, repository }: LinkWork,
    target: ClusterTarget,
    signal: AbortSignal,
  ): RegistryEnd & Disposable {
    const foreign = deps.foreignOf(object.repoType)
    if (foreign === undefined) throw notBuilt(`${object.repoType} to a registry`, 'is not built yet')
    const kind = spec.follows === undefined ? 'backfill' : 'live'
    const rate = remotes.rate(spec.taskKey, spec.rateLimit, target, kind)
    const registry = foreign.connect(target)
    const heard = (health: Pick<ClusterHealth, 'status' | 'error_reason'>) =>
      db.transact((trx) => noteHealth(trx, target.id, health, clock.now()))
    return {
      name: new URL(target.url).host,
      registry,
      async greet(stop) {
        try {
          const { server } = await registry.check(stop)
          if (server === deps.server) refuseItself(target.url, repository)
        } catch (error) {
          stop.throwIfAborted()
          await heard({ status: 'UNHEALTHY', error_reason: messageOf(error) })
          throw asLinkDown(error)
        }
        remotes.of(target.id).circuit.succeeded()
        await heard({ status: 'HEALTHY', error_reason: null })
      },
      contents: createForeignContents({ db, clock, store, clusterId: target.id, rate, signal }),
      [Symbol.dispose]() {
        registry[Symbol.dispose]()
        rate.close()
      },
    }
  }
  return {
    connect,
    async run(work, target, onStored, signal) {
      using end = connect(work, target, signal)
      return await runRegistryLink(deps, work, end, onStored, signal)
    },
  }
}

/** One that was stored without connecting, or that is another server's no more. */
function refuseItself(url: string, { project, name }: LinkWork['repository']): void {
  if (!isWithinRepository(url, project, name)) return
  throw invalid('registry', `[${url}] is ${project}/${name} of this server: it would go to itself`)
}
