import { checkCertificate, checkRemoteLogin } from '../../clusters/validate-cluster.ts'
import { invalid, missing } from '../../core/errors.ts'
import type { RequestFields } from '../../core/request-fields.ts'

/** A target that is no cluster of ours. Texts are not empty. */
export interface GivenRegistry {
  readonly kind: 'registry'
  /** `[scheme://]host[:port][/path]` */
  readonly address: string
  readonly username: string | undefined
  /** Undefined: none, or in an update the stored one. */
  readonly password: string | undefined
  readonly certificate: string | undefined
  /** Connect before storing. */
  readonly ping: boolean
}
export interface GivenClusterTarget {
  readonly kind: 'cluster'
  readonly clusterId: string
  readonly remoteProject: string
  readonly remoteRepo: string
  /** Whose right to write over there is looked at. */
  readonly user: { readonly username: string; readonly password: string } | undefined
}

export type GivenTarget = GivenRegistry | GivenClusterTarget

const MASK = '******'

/** @throws AppError PARAMETER_MISSING, PARAMETER_INVALID. */
export function targetOf(fields: RequestFields): GivenTarget {
  const clusterId = filled(fields, 'clusterId')
  const address = filled(fields, 'registry')
  if ((clusterId === undefined) === (address === undefined)) {
    throw invalid(
      'clusterId or registry',
      `exactly one of them is needed, ${clusterId === undefined ? 'none' : 'both'} came`,
    )
  }
  if (address !== undefined) {
    return { kind: 'registry', ...registryIn(fields, address) }
  }
  const remoteProject = filled(fields, 'remoteProjectId')
  const remoteRepo = filled(fields, 'remoteRepoName')
  if (remoteProject === undefined) throw missing('remoteProjectId')
  if (remoteRepo === undefined) throw missing('remoteRepoName')
  const username = filled(fields, 'remoteUserUsername')
  const password = filled(fields, 'remoteUserPassword')
  if (username !== undefined && password === undefined) throw missing('remoteUserPassword')
  const user = username === undefined ? undefined : { username, password: password! }
  return { kind: 'cluster', clusterId: clusterId!, remoteProject, remoteRepo, user }
}

/** @throws AppError PARAMETER_MISSING, PARAMETER_INVALID. */
export function registryIn(fields: RequestFields, address: string): Omit<GivenRegistry, 'kind'> {
  const [username, password] = [filled(fields, 'username'), filled(fields, 'password')]
  const certificate = filled(fields, 'certificate')
  checkRemoteLogin(username, password)
  if (password !== undefined && password !== MASK && username === undefined) throw missing('username')
  if (certificate !== undefined) checkCertificate(certificate)
  return {
    address,
    username,
    password: password === MASK ? undefined : password,
    certificate,
    ping: fields.flag('ping') ?? true,
  }
}

/** Empty texts count as absent. */
export function filled(fields: RequestFields, name: string): string | undefined {
  const text = fields.text(name)
  return text === undefined || text.trim() === '' ? undefined : text
}
