import { Type } from 'typebox'
import type { ExecutionRecord, RecordDetail } from '../../tasks/record.ts'
import type { Records } from '../../tasks/records.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import { queryChoice } from '../query-choice.ts'
import type { Routes } from '../route.ts'
import { DETAIL_FILTERS, detailFilterOf, RUN_STATUSES } from './detail-filter.ts'
import {
  LinkInfo,
  OverviewData,
  RecordDetailInfo,
  RecordInfo,
  toLinkInfo,
  toOverview,
  toRecordDetail,
  toRecordInfo,
} from './record-wire.ts'
import { TaskDetail } from './task-schemas.ts'
import { toTaskDetail } from './task-wire.ts'

export interface RecordRouteDeps {
  readonly records: Records
  readonly dates: Dates
  /** What this cluster calls itself; `localCluster` of every detail. */
  readonly clusterName: string
}

const PATH = '/replication/api/task/record'
const config = { access: 'ADMIN' } as const
const tags = ['replication records']

const RecordParams = Type.Object({ recordId: Type.String() })
const KeyParams = Type.Object({ key: Type.String() })
const Status = DETAIL_FILTERS.status
const DetailQuery = Type.Object({ ...DETAIL_FILTERS, ...PAGE_FIELDS })

/** Contract 002. `list`, `page`, `detail` and `overview` are no record ids: the router prefers fixed parts of a path. */
export const recordRoutes =
  ({ records, dates, clusterName }: RecordRouteDeps): Routes =>
  async (app) => {
    const info = (record: ExecutionRecord) => toRecordInfo(record, dates)
    const detailInfo = (detail: RecordDetail) => toRecordDetail(detail, clusterName, dates)

    app.get(
      `${PATH}/list/:key`,
      {
        schema: { tags, summary: 'Records of a task', params: KeyParams, response: answers(Type.Array(RecordInfo)) },
        config,
      },
      async ({ params }) => ok((await records.list(params.key)).map(info)),
    )
    app.get(
      `${PATH}/page/:key`,
      {
        schema: {
          tags,
          summary: 'Records of a task, page by page',
          params: KeyParams,
          querystring: Type.Object({ status: Status, ...PAGE_FIELDS }),
          response: answers(PageData(RecordInfo)),
        },
        config,
      },
      async ({ params, query }) => {
        const status = queryChoice('status', query.status, RUN_STATUSES)
        return ok(toPage(await records.page(params.key, status, pageOf(query)), info))
      },
    )
    app.get(
      `${PATH}/detail/list/:recordId`,
      {
        schema: {
          tags,
          summary: 'What became of each artifact of a run',
          params: RecordParams,
          response: answers(Type.Array(RecordDetailInfo)),
        },
        config,
      },
      async ({ params }) => ok((await records.listDetails(params.recordId)).map(detailInfo)),
    )
    app.get(
      `${PATH}/detail/page/:recordId`,
      {
        schema: {
          tags,
          summary: 'What became of each artifact of a run, page by page',
          params: RecordParams,
          querystring: DetailQuery,
          response: answers(PageData(RecordDetailInfo)),
        },
        config,
      },
      async ({ params, query }) => {
        const filter = detailFilterOf(query)
        return ok(toPage(await records.pageDetails(params.recordId, filter, pageOf(query)), detailInfo))
      },
    )
    app.get(
      `${PATH}/overview/:recordId`,
      {
        schema: {
          tags,
          summary: 'Counters of a run',
          params: RecordParams,
          response: answers(Type.Union([OverviewData, Type.Null()])),
        },
        config,
      },
      async ({ params }) => {
        const overview = await records.findOverview(params.recordId)
        return ok(overview === undefined ? null : toOverview(overview))
      },
    )
    app.get(
      `${PATH}/:recordId`,
      {
        schema: {
          tags,
          summary: 'A record with its task as the run uses it',
          params: RecordParams,
          response: answers(
            Type.Object({
              replicaObjectType: Type.String(),
              replicaType: Type.String(),
              record: RecordInfo,
              retryOf: Type.Union([Type.String(), Type.Null()], {
                description: 'Of a run that only tries again what failed: the record in which it did',
              }),
              links: Type.Array(LinkInfo),
              taskSnapshot: Type.Unsafe<unknown>({ ...TaskDetail, description: 'The task as this run uses it' }),
            }),
          ),
        },
        config,
      },
      async ({ params }) => {
        const { record, snapshot, links } = await records.get(params.recordId)
        return ok({
          replicaObjectType: record.objectType,
          replicaType: record.replicaType,
          record: info(record),
          retryOf: snapshot.retry?.of || null,
          links: links.map((link) => toLinkInfo(link, dates)),
          taskSnapshot: toTaskDetail(snapshot.task, snapshot.objects, dates),
        })
      },
    )
  }
