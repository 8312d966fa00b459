import { Type } from 'typebox'
import { invalid } from '../../core/errors.ts'
import { chosen } from '../../core/request-fields.ts'
import { queryChoice } from '../query-choice.ts'

const SORT_FIELDS = { LASTMODIFIEDDATE: 'modified_at', CREATEDDATE: 'created_at', RETRYCOUNT: 'attempts' } as const
const NAMES = Object.keys(SORT_FIELDS) as (keyof typeof SORT_FIELDS)[]

/** Spread into the query schema of a listing of failures or events. */
export const SORT_QUERY = {
  sortField: Type.Optional(
    Type.String({ description: 'lastModifiedDate, createdDate, retryCount', default: 'lastModifiedDate' }),
  ),
  sortDirection: Type.Optional(Type.String({ description: 'DESC, ASC', default: 'DESC' })),
}

/** @throws AppError PARAMETER_VALIDATION_FAILED for another field, PARAMETER_INVALID for another direction (replication.md 8). */
export function queueOrder({ sortField, sortDirection }: { sortField?: string; sortDirection?: string }) {
  const by = SORT_FIELDS[queryChoice('sortField', sortField, NAMES) ?? 'LASTMODIFIEDDATE']
  const isGiven = sortDirection !== undefined && sortDirection !== ''
  const direction = isGiven ? chosen(sortDirection, ['ASC', 'DESC']) : 'DESC'
  if (direction === undefined) throw invalid('sortDirection', 'it must be ASC or DESC')
  return { by, direction: direction === 'ASC' ? 'asc' : 'desc' } as const
}
