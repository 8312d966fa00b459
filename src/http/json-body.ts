import { AppError } from '../core/errors.ts'
import { checkBodySum } from './body-sum.ts'
import type { App } from './route.ts'

/** Largest JSON body; a task with every object and constraint it may have stays below it. */
export const MAX_JSON_BYTES = 10 * 1024 * 1024

const JSON_TYPES = /^application\/(?:[\w.+-]+\+)?json\b/i
/** A cheap look that spares nearly all bodies the slow walk of a reviver. */
const MAY_NAME_PROTO = /__proto__|\\u005f/i

/** Bodies of the API are JSON in UTF-8. Any other content type is refused, an absent body is undefined. */
export function acceptJson(app: App): void {
  const fatal = new TextDecoder('utf-8', { fatal: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(JSON_TYPES, { parseAs: 'buffer' }, (request, bytes, done) => {
    try {
      checkBodySum(request.headers, bytes as Buffer)
      if (bytes.length === 0) return done(null, undefined)
      const text = fatal.decode(bytes as Buffer)
      done(null, MAY_NAME_PROTO.test(text) ? JSON.parse(text, refuseProto) : JSON.parse(text))
    } catch (cause) {
      const why = cause instanceof SyntaxError ? 'it is not JSON' : 'it is not UTF-8'
      done(cause instanceof AppError ? cause : unreadableBody(why, cause))
    }
  })
}

/** An own key `__proto__` would be one thing to the code that checks it and another to the code that copies it. */
function refuseProto(key: string, value: unknown): unknown {
  if (key === '__proto__') throw unreadableBody('the name __proto__ is not allowed', undefined)
  return value
}
const unreadableBody = (why: string, cause: unknown): AppError =>
  new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: ${why}`, {}, { cause })
