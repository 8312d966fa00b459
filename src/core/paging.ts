/** One page of a listing, as asked for at the edge. `pageNumber` starts at 1. */
export interface PageRequest {
  readonly pageNumber: number
  readonly pageSize: number
}
export interface Page<T> extends PageRequest {
  readonly totalRecords: number
  readonly records: readonly T[]
}
const DEFAULT_PAGE_SIZE = 20
const MAX_PAGE_SIZE = 1000
/** Ours: keeps the offset a number that both databases take. Nobody has so many rows. */
const MAX_PAGE_NUMBER = 1_000_000_000

/** Missing, 0 and negative mean 1 and 20; a huge size means 1000 (replication.md 0.2). */
export function pageRequest(pageNumber: number | undefined, pageSize: number | undefined): PageRequest {
  return {
    pageNumber: pageNumber === undefined || pageNumber < 1 ? 1 : Math.min(Math.floor(pageNumber), MAX_PAGE_NUMBER),
    pageSize:
      pageSize === undefined || pageSize < 1 ? DEFAULT_PAGE_SIZE : Math.min(Math.floor(pageSize), MAX_PAGE_SIZE),
  }
}
export const pageOffset = (page: PageRequest): number => (page.pageNumber - 1) * page.pageSize
