import { type RawBuilder, sql } from 'kysely'
import { type Digest, digestBytes, digestHex } from '../../core/digest.ts'
import type { Reader } from '../database.ts'
import { arrayLiteral } from './array-literal.ts'
import { dialectOf } from './dialect-of.ts'

/** "The digest is one of these", in one parameter, so that the statement's text does not grow with them. */
export const anyDigest = (reader: Reader, column: string, digests: readonly Digest[]): RawBuilder<boolean> =>
  anyDigestListed(reader, column, digestList(reader, digests))

/** The same in a prepared query. @param list what `digestList` makes of the digests. */
export function anyDigestListed(reader: Reader, column: string, list: string): RawBuilder<boolean> {
  const ref = sql.ref(column)
  return dialectOf(reader) === 'sqlite'
    ? sql<boolean>`${ref} in (select unhex(value) from json_each(${list}))`
    : sql<boolean>`${ref} = any(${list}::bytea[])`
}
export const digestList = (reader: Reader, digests: readonly Digest[]): string =>
  dialectOf(reader) === 'sqlite' ? JSON.stringify(digests.map(digestHex)) : arrayLiteral(digests, digestBytes)
