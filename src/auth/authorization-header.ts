import { AppError } from '../core/errors.ts'

/** What a request says about its caller. A secret is a password or a token; with `bearer` the token alone tells the user. */
export type Credentials =
  | { readonly scheme: 'basic'; readonly userId: string; readonly secret: string }
  | { readonly scheme: 'bearer'; readonly secret: string }

/** Undefined: no credentials. @throws AppError UNAUTHENTICATED for a header that says something else. */
export function parseAuthorization(header: string | undefined): Credentials | undefined {
  const text = header?.trim() ?? ''
  if (text === '') return undefined
  const [, scheme = '', value = ''] = /^(\S+)\s+(\S+)$/.exec(text) ?? []
  switch (scheme.toLowerCase()) {
    case 'basic':
      return parseBasic(value)
    case 'bearer':
      return { scheme: 'bearer', secret: value }
    default:
      throw refused('use Basic with a password or token, or Bearer with a token')
  }
}

function parseBasic(value: string): Credentials {
  const text = Buffer.from(value, 'base64').toString()
  const colon = text.indexOf(':')
  if (colon < 0) throw refused('malformed Basic credentials')
  return { scheme: 'basic', userId: text.slice(0, colon), secret: text.slice(colon + 1) }
}

export const refused = (why: string): AppError => new AppError('UNAUTHENTICATED', `Failed to authenticate: ${why}`)
