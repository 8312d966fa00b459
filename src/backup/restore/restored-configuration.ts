import { channelSlot } from '../../artifacts/proxies/composite-configuration.ts'
import { CREDENTIALS_SLOT, PROXY_SLOT } from '../../artifacts/proxies/remote-configuration.ts'

type Configuration = Readonly<Record<string, unknown>>

/**
 * A configuration as a request would bring it: passwords, which are masked, in clear or left out. What is no object stays for those to
 * refuse who judge configurations. Pure.
 */
export function withPasswords(
  configuration: Configuration,
  passwordFor: (slot: string) => string | null,
): Configuration {
  const login = (value: unknown, slot: string): unknown =>
    isObject(value) && 'password' in value ? { ...value, password: passwordFor(slot) } : value
  const changed: Record<string, unknown> = { ...configuration }
  if (isObject(changed.credentials)) changed.credentials = login(changed.credentials, CREDENTIALS_SLOT)
  if (isObject(changed.network)) {
    changed.network = { ...changed.network, proxy: login(changed.network.proxy, PROXY_SLOT) ?? null }
  }
  if (isObject(changed.proxy) && Array.isArray(changed.proxy.channelList)) {
    const channels = changed.proxy.channelList.map((channel: unknown) =>
      isObject(channel) ? login(channel, channelSlot(String(channel.name))) : channel,
    )
    changed.proxy = { ...changed.proxy, channelList: channels }
  }
  return changed
}

/** Members of the project itself move with it. Pure. */
export function inProject(configuration: Configuration, from: string, to: string): Configuration {
  const { repositoryList } = configuration
  if (from === to || !Array.isArray(repositoryList)) return configuration
  const moved = repositoryList.map((member: unknown) =>
    isObject(member) && member.projectId === from ? { ...member, projectId: to } : member,
  )
  return { ...configuration, repositoryList: moved }
}

const isObject = (value: unknown): value is Configuration =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
