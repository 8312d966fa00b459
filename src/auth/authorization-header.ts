import { AppError } from '../core/errors.ts'

/** What a request says about its caller. A secret is a password or a token; with `bearer` the token alone tells the user. */
export type Credentials =
  | { readonly scheme: 'basic'; readonly userId: string; readonly secret: string }
  | { readonly scheme: 'bearer'; readonly secret: string }
  | { readonly scheme: 'platform'; readonly accessKey: string; readonly secret: string }

/** Undefined: no credentials. @throws AppError UNAUTHENTICATED for a header that says something else. */
export function parseAuthorization(header: string | undefined): Credentials | undefined {
  const text = header?.trim() ?? ''
  if (text === '') return undefined
  const [, scheme = '', value = ''] = /^(\S+)\s+(\S+)$/.exec(text) ?? []
  switch (scheme.toLowerCase()) {
    case 'basic': {
      const [userId, secret] = pairOf(value, 'Basic')
      return { scheme: 'basic', userId, secret }
    }
    case 'platform': {
      const [accessKey, secret] = pairOf(value, 'Platform')
      return { scheme: 'platform', accessKey, secret }
    }
    case 'bearer':
      return { scheme: 'bearer', secret: value }
    default:
      throw refused('use Basic with a password or token, Platform with a key pair, or Bearer with a token')
  }
}

function pairOf(value: string, scheme: string): [name: string, secret: string] {
  const text = Buffer.from(value, 'base64').toString()
  const colon = text.indexOf(':')
  if (colon < 0) throw refused(`malformed ${scheme} credentials`)
  return [text.slice(0, colon), text.slice(colon + 1)]
}

export const refused = (
  why: string,
  detail: { readonly userId?: string; readonly appId?: string; readonly accessKey?: string } = {},
): AppError => new AppError('UNAUTHENTICATED', `Failed to authenticate: ${why}`, detail)
