import { type RawBuilder, sql } from 'kysely'
import { type Digest, digestBytes, digestHex } from '../../core/digest.ts'
import type { Reader } from '../database.ts'
import { arrayLiteral } from './array-literal.ts'
import { dialectOf } from './dialect-of.ts'

/** "The digest is one of these", in one parameter, so that the statement's text does not grow with them. */
export function anyDigest(reader: Reader, column: string, digests: readonly Digest[]): RawBuilder<boolean> {
  const ref = sql.ref(column)
  if (dialectOf(reader) === 'sqlite') {
    return sql<boolean>`${ref} in (select unhex(value) from json_each(${JSON.stringify(digests.map(digestHex))}))`
  }
  return sql<boolean>`${ref} = any(${arrayLiteral(digests, digestBytes)}::bytea[])`
}
