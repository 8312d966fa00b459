import { type Static, type TSchema, Type } from 'typebox'
import { type Page, type PageRequest, pageRequest } from '../core/paging.ts'

/** Spread into the query schema of a listing. `page`, `current`, `size` and `limit` are older names. */
export const PAGE_FIELDS = {
  pageNumber: Type.Optional(Type.Integer({ description: 'From 1' })),
  pageSize: Type.Optional(Type.Integer({ description: '20 when left out, at most 1000' })),
  page: Type.Optional(Type.Integer({ description: 'Same as pageNumber' })),
  current: Type.Optional(Type.Integer({ description: 'Same as pageNumber' })),
  size: Type.Optional(Type.Integer({ description: 'Same as pageSize' })),
  limit: Type.Optional(Type.Integer({ description: 'Same as pageSize' })),
}
const PageQuery = Type.Object(PAGE_FIELDS)

export function pageOf(query: Static<typeof PageQuery>): PageRequest {
  return pageRequest(query.pageNumber ?? query.page ?? query.current, query.pageSize ?? query.size ?? query.limit)
}

/** Schema of `WirePage`, for `answers`. */
export const PageData = <T extends TSchema>(record: T) =>
  Type.Object({
    pageNumber: Type.Integer(),
    pageSize: Type.Integer(),
    totalRecords: Type.Integer(),
    totalPages: Type.Integer(),
    records: Type.Array(record),
    count: Type.Integer({ description: 'Same as totalRecords' }),
    page: Type.Integer({ description: 'Same as pageNumber' }),
  })

/** `data` of a page (replication.md 0.2). */
export interface WirePage<T> {
  readonly pageNumber: number
  readonly pageSize: number
  readonly totalRecords: number
  readonly totalPages: number
  readonly records: T[]
  /** Older names of totalRecords and pageNumber. */
  readonly count: number
  readonly page: number
}

export function toPage<T, R>(page: Page<T>, map: (record: T) => R): WirePage<R> {
  const { pageNumber, pageSize, totalRecords } = page
  return {
    pageNumber,
    pageSize,
    totalRecords,
    totalPages: Math.ceil(totalRecords / pageSize),
    records: page.records.map(map),
    count: totalRecords,
    page: pageNumber,
  }
}
