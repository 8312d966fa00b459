/** What an image runs on, as image specifications name it. Source: OCI image specification 1.1, "platform". */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

const FORM = /^([a-z0-9._-]{1,64})\/([a-z0-9._-]{1,64})(?:\/([a-z0-9._-]{1,64}))?$/

/** `os/arch[/variant]`, e.g. `linux/arm64` or `linux/arm/v7`, in lower case. Undefined: it is none. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] = FORM.exec(text) ?? []
  if (os === undefined || architecture === undefined) return undefined
  return { os, architecture, ...(variant === undefined ? {} : { variant }) }
}

/** Without a variant any is meant. An image that names none has the usual one of its architecture. */
export function isPlatformOf(wanted: readonly Platform[], { os, architecture, variant }: Platform): boolean {
  const own = variant ?? USUAL[architecture]
  return wanted.some(
    (one) => one.os === os && one.architecture === architecture && (one.variant === undefined || one.variant === own),
  )
}
const USUAL: Readonly<Record<string, string>> = { arm64: 'v8', arm: 'v7', amd64: 'v1' }

/** Of what is about an image, and none: an attestation, say. */
export const isNoPlatform = ({ os }: Platform): boolean => os === 'unknown'
