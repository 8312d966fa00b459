import { Readable } from 'node:stream'
import { Type } from 'typebox'
import type { RecordDetail } from '../../tasks/record.ts'
import type { Records } from '../../tasks/records.ts'
import type { Dates } from '../dates.ts'
import { attachmentOf } from '../files/content-disposition.ts'
import { queryChoice } from '../query-choice.ts'
import type { Routes } from '../route.ts'
import { EXPORT_FORMATS, WRITERS } from './detail-export.ts'
import { DETAIL_FILTERS, detailFilterOf } from './detail-filter.ts'
import { toRecordDetail } from './record-wire.ts'

export interface ExportRouteDeps {
  readonly records: Pick<Records, 'get' | 'eachDetails'>
  readonly dates: Dates
  /** `localCluster` of every detail. */
  readonly clusterName: string
}

const ExportQuery = Type.Object({
  format: Type.Optional(Type.String({ description: EXPORT_FORMATS.join(', '), default: 'NDJSON' })),
  ...DETAIL_FILTERS,
})

/**
 * All details of a record as one file, however many: a page at a time is read, when the client has taken the one before, and none
 * any more when it is gone.
 */
export const exportRoutes =
  ({ records, dates, clusterName }: ExportRouteDeps): Routes =>
  async (app) => {
    for (const method of ['GET', 'HEAD'] as const) {
      app.route({
        ...{ method, url: '/replication/api/task/record/detail/export/:recordId', exposeHeadRoute: false },
        schema: {
          tags: ['replication records'],
          summary: 'What became of each artifact of a run, as a file',
          params: Type.Object({ recordId: Type.String() }),
          querystring: ExportQuery,
        },
        config: { access: 'ADMIN', otherMedia: true },
        async handler({ params, query }, reply) {
          const format = queryChoice('format', query.format, EXPORT_FORMATS) ?? 'NDJSON'
          const filter = detailFilterOf(query)
          const { record } = await records.get(params.recordId)
          const { mediaType, head, line } = WRITERS[format]
          reply
            .header('content-disposition', attachmentOf(`record-${record.id}.${format.toLowerCase()}`))
            .type(mediaType)
          const write = (detail: RecordDetail) => line(toRecordDetail(detail, clusterName, dates))
          async function* text() {
            if (head !== '') yield head
            for await (const details of records.eachDetails(record.id, filter)) yield details.map(write).join('')
          }
          return reply.send(Readable.from(method === 'HEAD' ? [] : text(), { objectMode: false }))
        },
      })
    }
  }
