import { setTimeout as sleep } from 'node:timers/promises'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import type { Random } from '../../src/core/ids.ts'
import type { Api, Content } from './api.ts'
import { seededBytes, seededDigest, seededStream } from './blobs.ts'

/** What became of the files of a repository. */
export interface ChangedFiles {
  /** Of the files that are there now: their digest by path. */
  readonly live: Map<string, string>
  /** Of all paths there ever were: the digests they had. */
  readonly versions: Map<string, string[]>
}
export interface ChangePlan {
  readonly repositories: readonly string[]
  readonly random: Random
  /** Changes of each repository. */
  readonly changes: number
  /** Each repository gets one file of this size; 0: none. */
  readonly largeBytes: number
  /** How long the changes take at least, in ms. */
  readonly forMs: number
}

const MOST_SMALL_BYTES = 60_000
const LEAST_BYTES = 16
const MEDIUM_BYTES = 6_000_000
/** One of so many new files is a medium one. */
const MEDIUM_EVERY = 25
const FOLDERS = 7

/** Uploads, overwrites and deletes; every version of every file is different. */
export async function changeFiles(api: Api, plan: ChangePlan, signal: AbortSignal): Promise<Map<string, ChangedFiles>> {
  const { random, changes } = plan
  const below = (limit: number) => Math.floor(random.next() * limit)
  let seed = below(2 ** 24)
  const all = new Map(plan.repositories.map((name) => [name, { live: new Map(), versions: new Map() } as ChangedFiles]))

  async function put(repository: string, path: string, sizeBytes: number): Promise<void> {
    const mine = ++seed
    const content: Content =
      sizeBytes > MEDIUM_BYTES ? { sizeBytes, open: () => seededStream(mine, sizeBytes) } : seededBytes(mine, sizeBytes)
    await api.upload(repository, path, content, { 'x-bkrepo-overwrite': 'true' }, signal)
    const sha256 = seededDigest(mine, sizeBytes).replace('sha256:', '')
    const { live, versions } = all.get(repository)!
    live.set(path, sha256)
    versions.set(path, [...(versions.get(path) ?? []), sha256])
  }
  async function remove(repository: string, path: string): Promise<void> {
    all.get(repository)!.live.delete(path)
    await api.call('DELETE', `/repository/api/node/delete/${repository}${path}`, undefined, signal)
  }
  const smallBytes = () => LEAST_BYTES + below(MOST_SMALL_BYTES)
  async function changeOne(repository: string, n: number): Promise<void> {
    const { live } = all.get(repository)!
    const known = [...live.keys()].filter((path) => path.startsWith('/files/'))
    const dice = below(10)
    const old = known[below(known.length)]
    if (dice < 2 && old !== undefined) return put(repository, old, smallBytes())
    if (dice === 2 && old !== undefined) return remove(repository, old)
    const sizeBytes = below(MEDIUM_EVERY) === 0 ? 1 + below(MEDIUM_BYTES) : smallBytes()
    return put(repository, `/files/d${n % FOLDERS}/file ${n}.bin`, sizeBytes)
  }
  const stepMs = plan.forMs / changes
  const changeAll = async (repository: string) => {
    const from = performance.now()
    for (let n = 0; n < changes; n++) {
      if (n === Math.floor(changes / 4) && plan.largeBytes > 0) await put(repository, '/large.bin', plan.largeBytes)
      await changeOne(repository, n)
      await sleep(Math.max(0, from + (n + 1) * stepMs - performance.now()), undefined, { signal })
    }
  }
  await mapConcurrent(plan.repositories, plan.repositories.length, changeAll, signal)
  return all
}
