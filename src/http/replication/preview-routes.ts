import { type Static, Type } from 'typebox'
import { invalid } from '../../core/errors.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import type { Previews, ProofOrder } from '../../replication/previews/plans.ts'
import { DIFFERENCE_CLASSES, PLAN_CLASSES } from '../../replication/previews/preview.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PAGE_FIELDS, pageOf } from '../paging.ts'
import { queryChoice } from '../query-choice.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { PlanInfo, ProofInfo, ProofUnderWayInfo, toPlanInfo, toProofInfo, toProofUnderWay } from './preview-wire.ts'
import { TaskCreate } from './task-schemas.ts'

export interface PreviewRouteDeps {
  readonly previews: Previews
  readonly dates: Dates
}

const PATH = '/replication/api/task'
const config = { access: 'ADMIN' } as const
const tags = ['replication tasks']

const KeyParams = Type.Object({ key: Type.String() })
const Id = Type.Optional(
  Type.String({ description: 'Of an earlier answer: other pages of it, and nothing is asked anew' }),
)
const classOf = (classes: readonly string[]) =>
  Type.Optional(Type.String({ description: `Only these paths: ${classes.join(', ')}` }))
const PlanQuery = Type.Object({ planId: Id, class: classOf(PLAN_CLASSES), ...PAGE_FIELDS })
const ORDER_FIELDS = {
  deep: Type.Optional(Type.Boolean({ description: 'Row by row instead of by sums', default: false })),
  content: Type.Optional(
    Type.Boolean({ description: 'Read the stored bytes of both sides again: takes its time', default: false }),
  ),
}
const VerifyQuery = Type.Object({
  proofId: Id,
  ...ORDER_FIELDS,
  class: classOf(DIFFERENCE_CLASSES),
  ...PAGE_FIELDS,
})

/** What a run would do, and whether both sides are equal (docs/design/previews.md). Nothing is changed on either side. */
export const previewRoutes =
  ({ previews, dates }: PreviewRouteDeps): Routes =>
  async (app) => {
    async function plan(id: string, key: string | undefined, query: Static<typeof PlanQuery>) {
      const ofClass = queryChoice('class', query.class, PLAN_CLASSES)
      const found = await previews.getPlan(id)
      requireTask(found.taskKey, key, 'planId')
      return ok(toPlanInfo(found, await previews.page(id, ofClass, pageOf(query)), dates))
    }
    async function proof(id: string, key: string, query: Static<typeof VerifyQuery>) {
      const ofClass = queryChoice('class', query.class, DIFFERENCE_CLASSES)
      const found = await previews.getProof(id)
      requireTask(found.taskKey, key, 'proofId')
      return ok(toProofInfo(found, await previews.page(id, ofClass, pageOf(query)), dates))
    }

    app.post(
      `${PATH}/plan`,
      {
        schema: {
          tags,
          summary: 'What the first run of a task would do that is not made yet',
          body: documented(TaskCreate),
          querystring: PlanQuery,
          response: answers(PlanInfo),
        },
        config,
      },
      async ({ body, query }, reply) => {
        queryChoice('class', query.class, PLAN_CLASSES)
        const id = query.planId ?? (await previews.planUnstored(body, clientGone(reply)))
        return plan(id, undefined, query)
      },
    )
    app.get(
      `${PATH}/plan/:key`,
      {
        schema: {
          tags,
          summary: 'What a run of a task would do now',
          params: KeyParams,
          querystring: PlanQuery,
          response: answers(PlanInfo),
        },
        config,
      },
      async ({ params, query }, reply) => {
        queryChoice('class', query.class, PLAN_CLASSES)
        const id = query.planId ?? (await previews.plan(params.key, clientGone(reply)))
        return plan(id, params.key, query)
      },
    )
    app.post(
      `${PATH}/verify/:key`,
      {
        schema: {
          tags,
          summary: 'Whether source and target are equal now',
          params: KeyParams,
          querystring: VerifyQuery,
          body: documented(Type.Object(ORDER_FIELDS)),
          response: answers(ProofInfo),
        },
        config,
      },
      async ({ params, query, body, raw }, reply) => {
        queryChoice('class', query.class, DIFFERENCE_CLASSES)
        const order = orderOf(query, body)
        // Reading contents takes as long as it takes; who does not want to wait goes away.
        if (order.contents === 'read') raw.socket.setTimeout(0)
        const id = query.proofId ?? (await previews.verify(params.key, order, clientGone(reply)))
        return proof(id, params.key, query)
      },
    )
    app.get(
      `${PATH}/verify/:key`,
      {
        schema: {
          tags,
          summary: 'How far proofs of a task got that read contents',
          params: KeyParams,
          response: answers(Type.Array(ProofUnderWayInfo)),
        },
        config,
      },
      async ({ params }) => ok((await previews.provingNow(params.key)).map((one) => toProofUnderWay(one, dates))),
    )
  }

/** In the query or in the body. */
function orderOf(query: { readonly deep?: boolean; readonly content?: boolean }, body: unknown): ProofOrder {
  const fields = fieldsOf(body ?? {})
  const [deep, content] = [query.deep ?? fields.flag('deep'), query.content ?? fields.flag('content')]
  return { by: deep === true ? 'leaves' : 'sums', contents: content === true ? 'read' : 'trusted' }
}

/** A plan of a task that is not stored has none, and `POST plan` reads its pages. */
function requireTask(taskKey: string | null, key: string | undefined, field: string): void {
  if (taskKey !== (key ?? null)) throw invalid(field, 'it is of another task')
}
