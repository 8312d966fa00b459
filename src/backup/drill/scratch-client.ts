import { createHash } from 'node:crypto'
import { AppError } from '../../core/errors.ts'
import type { ScratchServer } from './scratch-server.ts'

/** What a client of the scratch server got. */
export interface ReadContent {
  readonly status: number
  /** Hex, of the bytes that came. */
  readonly sha256: string
  readonly sizeBytes: number
}

/** Asks a scratch server as its clients do. */
export interface ScratchClient {
  /** `data` of the envelope. @throws AppError TASK_FAILED with the server's words. */
  call<T>(method: string, path: string, body: unknown, signal: AbortSignal): Promise<T>
  /** Downloads and hashes. @param path of the URL, encoded. */
  read(path: string, signal: AbortSignal): Promise<ReadContent>
  /** As `read`, without the bytes. @returns the sha256 that the server names; undefined: it has no such file. */
  lookAt(path: string, signal: AbortSignal): Promise<string | undefined>
}

export function createScratchClient({ url, authorization }: ScratchServer): ScratchClient {
  const headers = { authorization }
  return {
    async call<T>(method: string, path: string, body: unknown, signal: AbortSignal) {
      const json = body === undefined ? {} : { body: JSON.stringify(body) }
      const type = body === undefined ? {} : { 'content-type': 'application/json' }
      const answer = await fetch(url + path, { method, headers: { ...headers, ...type }, ...json, signal })
      const { code, message, data } = (await answer.json()) as { code: number; message: string | null; data: T }
      if (code !== 0) throw new AppError('TASK_FAILED', `The scratch server refused ${method} ${path}: ${message}`, {})
      return data
    },
    async read(path, signal) {
      const answer = await fetch(url + path, { headers: { ...headers, accept: '*/*' }, signal })
      const hash = createHash('sha256')
      let sizeBytes = 0
      for await (const chunk of answer.body ?? []) {
        hash.update(chunk)
        sizeBytes += chunk.length
      }
      return { status: answer.status, sha256: hash.digest('hex'), sizeBytes }
    },
    async lookAt(path, signal) {
      const answer = await fetch(url + path, { method: 'HEAD', headers, signal })
      return answer.status === 200 ? (answer.headers.get('x-checksum-sha256') ?? undefined) : undefined
    },
  }
}
