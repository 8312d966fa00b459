import { AppError } from '../../core/errors.ts'
import { LinkDown, NotOurProtocol, RemoteRefusal, TunnelElsewhere } from '../../remotes/transport/failures.ts'

/** This owner's right to the shard is gone: another has it, or the run was deleted. Nothing more may be written. */
export class LeaseLost extends Error {
  constructor() {
    super('the shard belongs to somebody else')
    this.name = 'LeaseLost'
  }
}

/** The link has to end FAILED here, whatever is left of it. The message says why, to be shown. */
export class LinkStopped extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'LinkStopped'
  }
}

/** Contract code of FENCED as it comes back from a target (`http/envelope.ts`). */
const FENCED = 250350

/**
 * What an error that ended the work on a link means for it: `down` try again later, `lost` somebody else goes on, `failed` for
 * good with a reason, `defect` a fault of ours.
 */
export function linkFate(error: unknown): 'down' | 'lost' | 'failed' | 'defect' {
  if (error instanceof TunnelElsewhere) return 'lost'
  if (error instanceof LinkDown) return 'down'
  if (error instanceof LeaseLost || (error instanceof RemoteRefusal && error.wireCode === FENCED)) return 'lost'
  if (error instanceof RemoteRefusal) return error.retryable ? 'down' : 'failed'
  if (error instanceof NotOurProtocol || error instanceof LinkStopped) return 'failed'
  return error instanceof AppError ? 'failed' : 'defect'
}
