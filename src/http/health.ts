import { Type } from 'typebox'
import { messageOf } from '../core/errors.ts'
import { clientGone } from './client-gone.ts'
import type { Routes } from './route.ts'

/** Throws, or rejects, when that part cannot do its work now. */
export type HealthCheck = (signal: AbortSignal) => Promise<void>

const Report = Type.Object({ status: Type.String(), failing: Type.Array(Type.String()) })

/** `live`: the process answers. `ready`: all it needs answers too, else 503 and the names of what does not. */
export const healthRoutes =
  ({ checks }: { readonly checks: Readonly<Record<string, HealthCheck>> }): Routes =>
  async (app) => {
    const config = { access: 'PUBLIC' } as const
    const report = (summary: string) => ({
      config,
      schema: { tags: ['operations'], summary, response: { 200: Report, 503: Report } },
    })

    app.get('/health/live', report('The process answers'), async () => ({ status: 'UP', failing: [] }))

    app.get('/health/ready', report('The process and all it needs answer'), async (request, reply) => {
      const signal = clientGone(reply)
      const results = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => {
          try {
            await check(signal)
            return []
          } catch (error) {
            request.log.warn({ check: name, reason: messageOf(error) }, 'not ready')
            return [name]
          }
        }),
      )
      const failing = results.flat()
      return reply
        .code(failing.length === 0 ? 200 : 503)
        .send({ status: failing.length === 0 ? 'UP' : 'DOWN', failing })
    })
  }
