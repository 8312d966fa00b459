import { BlockList, isIP } from 'node:net'
import { invalid } from '../../core/errors.ts'

const PREFIX = /^\d{1,3}$/
/** An IPv4 address as a socket that listens on both families tells it. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** Addresses and networks such as `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`. @throws AppError PARAMETER_INVALID naming `name`. */
export function checkAddresses(name: string, texts: readonly string[]): void {
  for (const text of texts) if (!addTo(new BlockList(), text)) throw invalid(name, `[${text}] is no address or network`)
}

/** Whether one of the texts, which were checked, covers the address of a connection. */
export function coversAddress(texts: readonly string[], address: string): boolean {
  const plain = MAPPED.exec(address)?.[1] ?? address
  const family = familyOf(plain)
  if (family === undefined) return false
  const list = new BlockList()
  for (const text of texts) addTo(list, text)
  return list.check(plain, family)
}

function addTo(list: BlockList, text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = familyOf(address)
  if (family === undefined || rest.length > 0) return false
  if (prefix === undefined) {
    list.addAddress(address, family)
    return true
  }
  if (!PREFIX.test(prefix) || Number(prefix) > (family === 'ipv4' ? 32 : 128)) return false
  list.addSubnet(address, Number(prefix), family)
  return true
}

const familyOf = (address: string): 'ipv4' | 'ipv6' | undefined =>
  (({ 4: 'ipv4', 6: 'ipv6' }) as const)[isIP(address) as 4 | 6]
