import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { LinkDown, NotOurProtocol, RemoteRefusal } from '../../remotes/transport/failures.ts'
import { createHttpClient, type HttpAnswer, type HttpTarget } from '../../remotes/transport/http-client.ts'
import { remoteText } from '../../remotes/transport/remote-text.ts'
import { openTunnel } from '../../remotes/tunnel/open-tunnel.ts'

/** What an edge asks of its centre. @throws LinkDown, NotOurProtocol, RemoteRefusal. */
export interface CentreClient extends Disposable {
  heartbeat(self: { readonly clusterId: string; readonly name: string }, signal: AbortSignal): Promise<void>
  /** Has the centre begin what waits for this edge. @param key of one task, which is begun even after it failed too often. */
  pull(key: string | undefined, signal: AbortSignal): Promise<PulledTask[]>
  openTunnel(signal: AbortSignal): Promise<Socket>
}

/** A task of the centre that this edge has yet to pull. */
export interface PulledTask {
  readonly key: string
  readonly name: string
  /** `STARTED` by this call, `RUNNING` since before, `WAITING` for another run of the task to end. */
  readonly state: 'STARTED' | 'RUNNING' | 'WAITING'
  readonly recordId: string | null
}

const LIMITS = { connections: 2, idleMs: 10_000, answerMs: 30_000, maxAnswerBytes: 1024 * 1024 }
const OPEN_MS = 10_000

/** @param edgeName of this cluster, at the centre. */
export function createCentreClient(target: HttpTarget, edgeName: string, clock: Clock): CentreClient {
  const url = target.url.replace(/\/+$/, '').replace(/\/replication$/, '')
  const centre = { ...target, url }
  const http = createHttpClient(centre, LIMITS, clock)
  const base = `/sync/v1/edges/${encodeURIComponent(edgeName)}`

  async function post(path: string, json: unknown, signal: AbortSignal): Promise<unknown> {
    const body = Buffer.from(JSON.stringify(json))
    const headers = { 'content-type': 'application/json' }
    const { envelope, failure } = read(await http.send({ method: 'POST', path: base + path, headers, body }, signal))
    if (failure !== undefined) throw failure
    return envelope?.data
  }
  function read({ status, body }: HttpAnswer): { envelope?: { data: unknown }; failure?: Error } {
    const envelope = parsed(body)
    if (envelope === undefined) {
      const text = `${url} answered HTTP ${status} with something that is not an Entrepot answer`
      return { failure: status >= 500 ? new LinkDown(text) : new NotOurProtocol(text) }
    }
    const { code, message, data } = envelope
    return code === 0
      ? { envelope: { data } }
      : { failure: new RemoteRefusal(`${remoteText(message) || 'refused'} (${code})`, status, code) }
  }

  return {
    async heartbeat(self, signal) {
      await post('/heartbeat', self, signal)
    },
    async pull(key, signal) {
      const data = await post('/pulls', key === undefined ? {} : { key }, signal)
      return readTasks(data, url)
    },
    openTunnel(signal) {
      const refusal = (answer: HttpAnswer) =>
        read(answer).failure ??
        new NotOurProtocol(`${url} did not open a tunnel: a proxy may have removed the header Upgrade`)
      return openTunnel({ centre, edgeName, timeoutMs: OPEN_MS, refusal }, clock, signal)
    },
    [Symbol.dispose]: () => http[Symbol.dispose](),
  }
}

/** What a failed call means to whoever asked this server for it. */
export function asCentreError(error: unknown): Error {
  if (error instanceof RemoteRefusal && error.wireCode === 250310) {
    return new AppError('TASK_NOT_FOUND', error.message, {}, { cause: error })
  }
  if (error instanceof RemoteRefusal || error instanceof LinkDown || error instanceof NotOurProtocol) {
    return new AppError('CLUSTER_CONNECT_ERROR', `centre: ${error.message}`, {}, { cause: error })
  }
  return error instanceof Error ? error : new Error(String(error))
}

function parsed(body: Buffer): { code: number; message: unknown; data: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value !== 'object' || value === null) return undefined
    const { code, message, data } = value as Record<string, unknown>
    return Number.isSafeInteger(code) ? { code: code as number, message, data } : undefined
  } catch {
    return undefined
  }
}

function readTasks(data: unknown, url: string): PulledTask[] {
  const tasks = (data as { tasks?: unknown } | null)?.tasks
  if (!Array.isArray(tasks)) throw new NotOurProtocol(`${url} did not say what there is to pull`)
  return tasks.map((task: Record<string, unknown>) => ({
    key: remoteText(task.key),
    name: remoteText(task.name),
    state: task.state === 'STARTED' || task.state === 'RUNNING' ? task.state : 'WAITING',
    recordId: typeof task.recordId === 'string' ? remoteText(task.recordId) : null,
  }))
}
