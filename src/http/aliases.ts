/** Resources of `/api/{resource}` by the service that has them; any other belongs to `repository`. */
const SERVICE_OF: Readonly<Record<string, string>> = {
  task: 'replication',
  cluster: 'replication',
  replica: 'replication',
  remote: 'replication',
  user: 'auth',
  role: 'auth',
  permission: 'auth',
  account: 'auth',
  oauth: 'auth',
  project: 'repository',
  repo: 'repository',
  node: 'repository',
  metadata: 'repository',
  package: 'repository',
  version: 'repository',
  job: 'job',
}
const DOUBLED = /^\/(replication|repository|auth|job)(?:\/\1)+(?=\/)/
/** What most requests ask for, as they should. */
const CANONICAL = /^\/(?:generic|sync|v2|repository(?=\/api))\//
const UNPREFIXED = /^\/api\/([^/?#]+)(?=[/?#]|$)/

/**
 * The one address of what a request names: gateways strip a service's prefix, keep it or double it (replication.md 0.4, core.md 1).
 * Percent-encoding, `..` and doubled slashes are left as they came: the path rule of nodes is not the router's business.
 * @param target request target as it came, with its query; in absolute form, scheme and host are dropped.
 */
export function canonicalUrl(target: string): string {
  if (CANONICAL.test(target)) return target
  const url = target.startsWith('/') ? target : originForm(target)
  const single = url.replace(DOUBLED, '/$1')
  const service = SERVICE_OF[UNPREFIXED.exec(single)?.[1] ?? '']
  if (service !== undefined) return `/${service}${single}`
  return /^\/task(?=\/)/.test(single) ? `/replication${single}` : single
}

function originForm(target: string): string {
  const found = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*(.*)$/i.exec(target)
  if (found === null) return target
  return found[1]!.startsWith('/') ? found[1]! : `/${found[1]}`
}
