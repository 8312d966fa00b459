import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { LocationMapping } from '../backup/places/location-form.ts'

/** Why a value is refused, to be shown after the name of its key. The value itself is not repeated: it may be a secret. */
export class BadValue extends Error {}

/** Reads one value: text from a flag or the environment, any YAML value from the file. @throws BadValue. */
export type Parse<T> = (value: unknown) => T

export const text: Parse<string> = (value) => {
  if (typeof value !== 'string' || value.trim() === '') throw new BadValue('must be text')
  return value
}

export const matching =
  (pattern: RegExp, what: string): Parse<string> =>
  (value) => {
    if (typeof value !== 'string' || !pattern.test(value)) throw new BadValue(`must be ${what}`)
    return value
  }

export const wholeNumber =
  (min: number, max: number): Parse<number> =>
  (value) => {
    const number = typeof value === 'string' && /^\d+$/.test(value.trim()) ? Number(value) : value
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < min || number > max) {
      throw new BadValue(`must be a whole number from ${min} to ${max}`)
    }
    return number
  }

export const share: Parse<number> = (value) => {
  const number = typeof value === 'string' && /^[\d.]+$/.test(value.trim()) ? Number(value) : value
  if (typeof number !== 'number' || !(number >= 0 && number <= 1)) throw new BadValue('must be a number from 0 to 1')
  return number
}

export const yesOrNo: Parse<boolean> = (value) => {
  if (typeof value === 'boolean') return value
  if (value === 'true' || value === 'false') return value === 'true'
  throw new BadValue('must be true or false')
}

export const oneOf =
  <T extends string>(...choices: readonly T[]): Parse<T> =>
  (value) => {
    const choice = choices.find((one) => one === value)
    if (choice === undefined) throw new BadValue(`must be one of ${choices.join(', ')}`)
    return choice
  }

/** In a flag or the environment, items stand between separators; in the file they are a list, or one item alone. */
export const listOf =
  <T>(separator: string, item: Parse<T>): Parse<readonly T[]> =>
  (value) => {
    const items = typeof value === 'string' ? value.split(separator).filter((part) => part.trim() !== '') : value
    return (Array.isArray(items) ? items : [items]).map((one) => item(typeof one === 'string' ? one.trim() : one))
  }

export const atLeastOne =
  <T>(list: Parse<readonly T[]>): Parse<readonly T[]> =>
  (value) => {
    const items = list(value)
    if (items.length === 0) throw new BadValue('must name at least one')
    return items
  }

/** `F:\=/srv/backups`: a drive of Windows, with folders or without, and the folder that stands for it. */
export const locationMapping: Parse<LocationMapping> = (value) => {
  const [, from, to] = (typeof value === 'string' && /^([a-z]:[^=]*)=(.+)$/i.exec(value)) || []
  if (from === undefined || to === undefined) throw new BadValue('must be pairs such as F:\\=/srv/backups')
  return { from, to }
}

/** An IP address, or a network such as `10.0.0.0/8`. */
export const addressOrNetwork: Parse<string> = (value) => {
  const [address = '', bits, ...rest] = typeof value === 'string' ? value.split('/') : []
  const version = isIP(address)
  const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
  if (version === 0 || !fits || rest.length > 0)
    throw new BadValue('must be an address or a network such as 10.0.0.0/8')
  return value as string
}

/** Without a slash at its end. */
export const httpUrl: Parse<string> = (value) => {
  const url = typeof value === 'string' ? URL.parse(value) : null
  if (url === null || !/^https?:$/.test(url.protocol)) throw new BadValue('must be an http or https URL')
  return url.href.replace(/\/+$/, '')
}

/** PEM. */
export const certificateText: Parse<string> = (value) => {
  try {
    new X509Certificate(text(value))
    return value as string
  } catch {
    throw new BadValue('must be an X.509 certificate in PEM form')
  }
}

export const databaseAddress: Parse<string> = (value) => {
  if (value === 'sqlite') return value
  const url = typeof value === 'string' ? URL.parse(value) : null
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) throw new BadValue('must be sqlite or a postgres:// URL')
  return value as string
}

export const zoneName: Parse<string> = (value) => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text(value) }).resolvedOptions().timeZone
  } catch {
    throw new BadValue('must be a time zone such as Asia/Shanghai')
  }
}
