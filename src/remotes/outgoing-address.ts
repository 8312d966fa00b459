import { BlockList, isIP } from 'node:net'

/** What an IP address means for requests that we send on behalf of a caller (architecture.md §8). */
export type AddressKind = 'public' | 'private' | 'refused'

/** Link-local (cloud metadata services live there), "this network", multicast and broadcast: nobody's cluster or registry. */
const REFUSED = blockList(
  ['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4'],
  // The last three hold an IPv4 address that a gateway would go to: 6to4, Teredo, NAT64 of a site.
  ['::/128', 'fe80::/10', 'ff00::/8', 'fd00:ec2::/32', '2002::/16', '2001::/32', '64:ff9b:1::/48'],
)
/** Loopback, the ranges of RFC 1918, carrier-grade NAT and unique local addresses. */
const PRIVATE = blockList(
  ['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'],
  ['::1/128', 'fc00::/7', 'fec0::/10'],
)
/** NAT64 (RFC 6052): the last 32 bits are an IPv4 address. */
const NAT64 = blockList([], ['64:ff9b::/96'])

/** @param address an IP literal, without brackets; a zone (`%eth0`) makes it link-local. Anything else is refused. */
export function addressKind(address: string): AddressKind {
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
  if (isIP(address) === 0 || address.includes('%')) return 'refused'
  if (family === 'ipv6' && NAT64.check(address, family)) return addressKind(lastFourBytes(address))
  // IPv4 written as IPv6 (`::ffff:10.0.0.1`) is matched against the IPv4 rules by BlockList itself.
  if (REFUSED.check(address, family)) return 'refused'
  return PRIVATE.check(address, family) ? 'private' : 'public'
}

/** `64:ff9b::a9fe:a9fe` → `169.254.169.254`. */
function lastFourBytes(address: string): string {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [high = '0', low = '0'] = canonical.replace('::', ':0:').split(':').slice(-2)
  const value = [high, low].map((group) => Number.parseInt(group === '' ? '0' : group, 16))
  return value.flatMap((group) => [group >> 8, group & 255]).join('.')
}

function blockList(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList()
  const add = (subnet: string, family: 'ipv4' | 'ipv6') => {
    const [net = '', prefix = ''] = subnet.split('/')
    list.addSubnet(net, Number(prefix), family)
  }
  for (const subnet of ipv4) add(subnet, 'ipv4')
  for (const subnet of ipv6) add(subnet, 'ipv6')
  return list
}
