import type { FastifyBaseLogger, FastifyServerOptions } from 'fastify'

type MakeLog = NonNullable<FastifyServerOptions['childLoggerFactory']>

/**
 * A request's logger, made when the request first logs something: most never do, and making one masks its fields, which takes
 * longer than finding a node.
 */
export const requestLog: MakeLog = (logger, bindings, options) => {
  let made: FastifyBaseLogger | undefined
  const log = (): FastifyBaseLogger => {
    made ??= logger.child(bindings, options)
    return made as FastifyBaseLogger
  }
  return new LazyLog(log) as unknown as FastifyBaseLogger
}

type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'

/** A class, so that its methods are made once and not for every request. */
class LazyLog implements Pick<FastifyBaseLogger, Level | 'child'> {
  readonly #log: () => FastifyBaseLogger
  constructor(log: () => FastifyBaseLogger) {
    this.#log = log
  }
  fatal(...words: [object, string?]): void {
    this.#log().fatal(...words)
  }
  error(...words: [object, string?]): void {
    this.#log().error(...words)
  }
  warn(...words: [object, string?]): void {
    this.#log().warn(...words)
  }
  info(...words: [object, string?]): void {
    this.#log().info(...words)
  }
  debug(...words: [object, string?]): void {
    this.#log().debug(...words)
  }
  trace(...words: [object, string?]): void {
    this.#log().trace(...words)
  }
  child(...words: Parameters<FastifyBaseLogger['child']>): FastifyBaseLogger {
    return this.#log().child(...words)
  }
  get level(): string {
    return this.#log().level
  }
}
