import { invalid } from '../../core/errors.ts'
import type { Reader, Transaction } from '../../metadata/database.ts'
import { lockVirtualLayout, repositoriesNamed } from '../../metadata/repositories/named-repositories.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { virtualMembers } from '../repositories/repository-configuration.ts'
import { memberKey, type VirtualMember } from './virtual-configuration.ts'

/** A repository that holds files itself and that a VIRTUAL one shows. */
export interface Member {
  readonly repository: Repository
  /** The VIRTUAL repositories on the way to it, without the one that was asked. */
  readonly through: readonly Repository[]
}

/** Far more than anybody oversees; keeps one request from loading thousands of rows. */
const MAX_REPOSITORIES = 1_000
const MAX_LEVELS = 20

/**
 * What a VIRTUAL repository shows, in order, VIRTUAL members replaced by theirs; each repository once, where it comes first.
 * Members that are deleted are left out. One statement per level.
 */
export async function membersOf(reader: Reader, virtual: Repository): Promise<Member[]> {
  return membersAmong(await reachable(reader, virtualMembers(virtual.configuration), MAX_REPOSITORIES), virtual)
}

/** `membersOf` each of a few, in their order, in as many statements as one takes. */
export async function membersOfEach(reader: Reader, virtual: readonly Repository[]): Promise<Member[][]> {
  const members = virtual.flatMap(({ configuration }) => virtualMembers(configuration))
  const known = await reachable(reader, members, MAX_REPOSITORIES * virtual.length)
  return virtual.map((one) => membersAmong(known, one))
}

function membersAmong(known: ReadonlyMap<string, Repository>, virtual: Repository): Member[] {
  const seen = new Set<number>([virtual.id])
  const walk = (members: readonly VirtualMember[], through: readonly Repository[]): Member[] =>
    members.flatMap((member) => {
      const repository = known.get(memberKey(member))
      if (repository === undefined || seen.has(repository.id)) return []
      seen.add(repository.id)
      if (repository.category !== 'VIRTUAL') return [{ repository, through }]
      return walk(virtualMembers(repository.configuration), [...through, repository])
    })
  return walk(virtualMembers(virtual.configuration), [])
}

/**
 * Refuses members that are not there (those that it has already may be gone), that are of another type, or that lead back to the
 * repository itself. Until the transaction ends nobody else changes members.
 * @throws AppError PARAMETER_INVALID naming the member.
 */
export async function checkMembers(
  trx: Transaction,
  virtual: Pick<Repository, 'project' | 'name' | 'type'>,
  members: readonly VirtualMember[],
  before: readonly VirtualMember[],
): Promise<void> {
  await lockVirtualLayout(trx)
  const own = memberKey({ projectId: virtual.project, name: virtual.name })
  const old = new Set(before.map(memberKey))
  const known = await reachable(trx, members, MAX_REPOSITORIES)
  for (const [index, member] of members.entries()) {
    const [field, key] = [`configuration.repositoryList[${index}]`, memberKey(member)]
    if (key === own) throw invalid(field, `[${key}] is this repository itself`)
    const repository = known.get(key)
    if (repository === undefined) {
      if (old.has(key)) continue
      throw invalid(field, `repository [${key}] not found`)
    }
    if (repository.type !== virtual.type) throw invalid(field, `[${key}] is a ${repository.type} repository`)
    const way = wayTo(own, key, known, new Set())
    if (way !== undefined) throw invalid(field, `[${key}] leads back to this repository: ${[own, ...way].join(' > ')}`)
  }
}

/** Keys from `key` to `target`; undefined: no way leads there. */
function wayTo(
  target: string,
  key: string,
  known: ReadonlyMap<string, Repository>,
  seen: Set<string>,
): string[] | undefined {
  if (key === target) return [key]
  const repository = known.get(key)
  if (repository === undefined || repository.category !== 'VIRTUAL' || seen.has(key)) return undefined
  seen.add(key)
  for (const member of virtualMembers(repository.configuration)) {
    const rest = wayTo(target, memberKey(member), known, seen)
    if (rest !== undefined) return [key, ...rest]
  }
  return undefined
}

/** All that the members lead to, by key. */
async function reachable(
  reader: Reader,
  members: readonly VirtualMember[],
  most: number,
): Promise<Map<string, Repository>> {
  const found = new Map<string, Repository>()
  const asked = new Set<string>()
  let next = [...members]
  for (let level = 0; next.length > 0 && level < MAX_LEVELS && asked.size < most; level++) {
    const places = next.filter((member) => !asked.has(memberKey(member)))
    for (const member of places) asked.add(memberKey(member))
    const rows = await repositoriesNamed(
      reader,
      places.map(({ projectId, name }) => ({ project: projectId, name })),
    )
    for (const row of rows) found.set(memberKey({ projectId: row.project, name: row.name }), row)
    next = rows.filter(({ category }) => category === 'VIRTUAL').flatMap((row) => virtualMembers(row.configuration))
  }
  return found
}
