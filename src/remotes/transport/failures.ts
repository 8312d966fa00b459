/** The target cannot be reached or the connection broke: a state of the link, to be tried again, not a fault of an artifact. */
export class LinkDown extends Error {
  /** How long the target asked to be left alone. */
  readonly retryAfterMs: number | undefined
  constructor(
    message: string,
    { retryAfterMs, ...extra }: { cause?: unknown; retryAfterMs?: number | undefined } = {},
  ) {
    super(message, extra)
    this.name = 'LinkDown'
    this.retryAfterMs = retryAfterMs
  }
}

/** No connection was made at all: whoever asks next will wait as long for nothing. */
export class NotConnected extends LinkDown {
  constructor(message: string, extra: { cause?: unknown } = {}) {
    super(message, extra)
    this.name = 'NotConnected'
  }
}

/** The target's connections are held by another process of ours: the work belongs there. */
export class TunnelElsewhere extends LinkDown {
  constructor(message: string) {
    super(message)
    this.name = 'TunnelElsewhere'
  }
}

/** What answers there is not what we expected: trying again does not help. */
export class NotOurProtocol extends Error {
  readonly tls: boolean
  constructor(message: string, extra: { cause?: unknown; tls?: true } = {}) {
    super(message, extra)
    this.name = 'NotOurProtocol'
    this.tls = extra.tls ?? false
  }
}

/** The target answered with a refusal in the contract's envelope, or with a bare HTTP status. */
export class RemoteRefusal extends Error {
  readonly status: number
  /** Contract code (25xxxx); undefined when the answer had none. */
  readonly wireCode: number | undefined
  /** How long the target asked to be left alone (`Retry-After`). */
  readonly retryAfterMs: number | undefined
  constructor(message: string, status: number, wireCode: number | undefined, retryAfterMs?: number) {
    super(message)
    this.name = 'RemoteRefusal'
    this.status = status
    this.wireCode = wireCode
    this.retryAfterMs = retryAfterMs
  }
  /** 429 and 5xx may pass; a broken body on its way (250311) is sent again; all other refusals stand. */
  get retryable(): boolean {
    return this.status === 429 || this.status >= 500 || this.wireCode === 250311
  }
}
