import { missing } from '../core/errors.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import { fieldsOf, storableText } from '../core/request-fields.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import {
  type FailureFilter,
  type FailureOrder,
  type FailureRow,
  findFailure,
  pageFailures,
} from '../metadata/replication/failure-pages.ts'
import { dismissFailures } from '../metadata/replication/failures.ts'
import type { Retries } from './retries.ts'

/** What failed and waits to be tried again (replication.md 1.6). */
export interface Failures {
  page(filter: FailureFilter, order: FailureOrder, page: PageRequest): Promise<Page<FailureRow>>
  find(id: string): Promise<FailureRow | undefined>
  /**
   * Nothing is tried again by itself for these; a run looks at them all the same.
   * @param body `{ids?, maxRetryCount?}`, both: those that fit both. @returns how many. @throws AppError PARAMETER_MISSING.
   */
  delete(body: unknown): Promise<number>
  /** @param body `{id}`. @throws AppError of `Retries.retryFailure`. */
  retry(body: unknown): Promise<void>
}

export function createFailures({ db, retries }: { db: MetadataDatabase; retries: Retries }): Failures {
  return {
    page: async (filter, order, page) => pageFailures(db.read, filter, order, page),
    find: async (id) => findFailure(db.read, id),
    async delete(body) {
      const fields = fieldsOf(body)
      const ids = fields.list('ids')?.map((id) => storableText('ids', id))
      const retriedMoreThan = fields.integer('maxRetryCount')
      if (ids === undefined && retriedMoreThan === undefined) throw missing('ids')
      return db.transact((trx) => dismissFailures(trx, { ids, retriedMoreThan }))
    },
    retry: async (body) => retries.retryFailure(fieldsOf(body).requiredText('id')),
  }
}
