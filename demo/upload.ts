import { createHash } from 'node:crypto'
import { Transform } from 'node:stream'
import { mapConcurrent } from '../src/core/concurrency.ts'
import { type Api, metaHeader } from '../test/helpers/api.ts'
import { type InputFile, total } from './input.ts'
import type { Progress } from './progress.ts'

/** What we sent, with the digest that we took ourselves: the truth that both clusters are compared with. */
export interface SentFile {
  readonly path: string
  readonly sizeBytes: number
  readonly sha256: string
  readonly metadata: Readonly<Record<string, string>>
}

const IN_FLIGHT = 8

export interface Upload {
  readonly repository: string
  readonly files: readonly InputFile[]
  onProgress(progress: Progress): void
}

/** Sends every file, a few at a time; the server's digest must be ours. Replaces what is there. */
export async function uploadAll(api: Api, upload: Upload, signal: AbortSignal): Promise<SentFile[]> {
  let doneFiles = 0
  let doneBytes = 0
  const totals = { totalFiles: upload.files.length, totalBytes: total(upload.files) }
  const sendOne = async (file: InputFile, stop: AbortSignal): Promise<SentFile> => {
    const hash = createHash('sha256')
    const open = () =>
      file.open().pipe(
        new Transform({
          transform(chunk: Buffer, _encoding, done) {
            hash.update(chunk)
            doneBytes += chunk.length
            upload.onProgress({ doneFiles, doneBytes, ...totals })
            done(undefined, chunk)
          },
        }),
      )
    const headers = { ...metaHeader(file.metadata), 'x-bkrepo-overwrite': 'true' }
    const node = await api.upload(upload.repository, file.path, { sizeBytes: file.sizeBytes, open }, headers, stop)
    const sha256 = hash.digest('hex')
    if (node.sha256 !== sha256) throw new Error(`${file.path}: we sent ${sha256}, the server stored ${node.sha256}`)
    upload.onProgress({ doneFiles: ++doneFiles, doneBytes, ...totals })
    return { path: file.path, sizeBytes: file.sizeBytes, sha256, metadata: file.metadata }
  }
  return mapConcurrent(upload.files, IN_FLIGHT, sendOne, signal)
}
