/** Of a platform account of the other server; it acts there for the user that is named beside it. */
export interface KeyPair {
  readonly accessKey: string
  readonly secretKey: string
}
export interface Credentials {
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Goes before a password. */
  readonly keys?: KeyPair | undefined
}

/** Headers that say who we are (core.md 3.1): Basic, or Platform with the user that the pair acts for; none: nobody. */
export function credentialHeaders({ username, password = '', keys }: Credentials): Readonly<Record<string, string>> {
  if (keys !== undefined) {
    const actsFor = username === undefined ? {} : { 'x-bkrepo-uid': username }
    return { authorization: `Platform ${base64(`${keys.accessKey}:${keys.secretKey}`)}`, ...actsFor }
  }
  return username === undefined ? {} : { authorization: `Basic ${base64(`${username}:${password}`)}` }
}
const base64 = (text: string): string => Buffer.from(text).toString('base64')
