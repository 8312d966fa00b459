import { AppError } from '../core/errors.ts'
import type { App } from './route.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A management call that answers a file. */
    otherMedia?: true
  }
}

const MANAGEMENT = /^\/[a-z-]+\/api\//

/** Management calls answer JSON, whatever it is that they answer. @throws AppError MEDIA_TYPE_NOT_ACCEPTABLE. */
export function refuseOtherMedia(app: App): void {
  app.addHook('onRequest', (request, _reply, next) => {
    const { routeOptions, headers } = request
    const { url, config } = routeOptions
    const isManagement = url !== undefined && MANAGEMENT.test(url) && config.otherMedia !== true
    next(isManagement && !acceptsJson(headers.accept) ? refused() : undefined)
  })
}

/** @param accept the header as it came; none, or an empty one, accepts everything. */
export function acceptsJson(accept: string | undefined): boolean {
  const ranges = (accept ?? '')
    .toLowerCase()
    .split(',')
    .map((range) => range.trim())
    .filter((range) => range !== '')
  return ranges.length === 0 || ranges.some(isJson)
}

function isJson(range: string): boolean {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
  if (parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))) return false
  // Some HTTP clients of old send a lone star.
  return ['*', '*/*', 'application/*', 'application/json'].includes(type) || type.endsWith('+json')
}

const refused = (): AppError =>
  new AppError('MEDIA_TYPE_NOT_ACCEPTABLE', 'Media type is not acceptable: the answer is application/json')
