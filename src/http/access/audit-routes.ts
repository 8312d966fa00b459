import { Type } from 'typebox'
import type { AuditLog, AuditRecord } from '../../auth/audit-log.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import { given, queryChoice } from '../query-choice.ts'
import type { Routes } from '../route.ts'

export interface AuditRouteDeps {
  readonly audit: Pick<AuditLog, 'page' | 'flush'>
  readonly dates: Dates
}

const OUTCOMES = ['SUCCESS', 'FAILED', 'REFUSED'] as const
const text = (description: string) => Type.Optional(Type.String({ description }))
const Nullable = Type.Union([Type.String(), Type.Null()])
const AuditQuery = Type.Object({
  ...PAGE_FIELDS,
  userId: text('Who did it; of a refused login: who the caller said to be'),
  appId: text('The platform account that did it for the user'),
  action: text('Prefix of method and route, e.g. DELETE /auth/api/user'),
  projectId: text('Name of a project'),
  outcome: text(OUTCOMES.join(', ')),
  code: Type.Optional(Type.Integer({ description: 'As in the envelope' })),
  from: text('From this time on'),
  to: text('Before this time'),
})
const AuditInfo = Type.Object({
  id: Type.Integer(),
  date: Type.String(),
  lastDate: Type.String({ description: 'Of the last one, when times is above 1' }),
  times: Type.Integer({ description: 'Equal refusals within some seconds are one row' }),
  userId: Type.String(),
  appId: Nullable,
  address: Type.String(),
  action: Type.String(),
  projectId: Nullable,
  repoName: Nullable,
  resource: Nullable,
  outcome: Type.String(),
  code: Type.Integer(),
  traceId: Type.String(),
})

/** Who changed what, and who was refused. */
export const auditRoutes =
  ({ audit, dates }: AuditRouteDeps): Routes =>
  async (app) => {
    app.get(
      '/auth/api/audit/page',
      {
        schema: {
          ...{ tags: ['audit'], summary: 'Page through the audit log, newest first' },
          ...{ querystring: AuditQuery, response: answers(PageData(AuditInfo)) },
        },
        config: { access: 'ADMIN' },
      },
      async ({ query }) => {
        const time = (name: 'from' | 'to') => {
          const value = given(query[name])
          return value === undefined ? undefined : dates.parse(name, value)
        }
        const filter = {
          userId: given(query.userId),
          appId: given(query.appId),
          action: given(query.action),
          project: given(query.projectId),
          outcome: queryChoice('outcome', query.outcome, OUTCOMES),
          ...{ code: query.code, from: time('from'), to: time('to') },
        }
        // What this process has gathered is part of the answer.
        await audit.flush()
        return ok(toPage(await audit.page(filter, pageOf(query)), infoOf))
      },
    )

    function infoOf({ at, lastAt, project, repo, ...entry }: AuditRecord) {
      const names = { projectId: project, repoName: repo }
      return { ...entry, ...names, date: dates.format(at), lastDate: dates.format(lastAt) }
    }
  }
