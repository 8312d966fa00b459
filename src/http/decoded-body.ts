import { Readable } from 'node:stream'
import { constants, createZstdDecompress } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError, invalid } from '../core/errors.ts'
import { openBody } from './raw-body.ts'

export interface DecodedBody {
  readonly body: Readable
  /** Undefined: not known before its end. */
  readonly sizeBytes: number | undefined
}

/** With `content-encoding: zstd`: how many bytes come out, in decimal. */
const DECODED_LENGTH = 'x-decoded-length'
/** Largest window that unpacking allocates, whatever the bytes claim: 8 MiB. */
const WINDOW_LOG = 23

/**
 * A raw body without its `content-encoding`, of which `zstd` is understood. What is unpacked is bounded by the size that the
 * client announced. @throws AppError MEDIA_TYPE_UNSUPPORTED, HEADER_MISSING, PARAMETER_INVALID; the body fails with ARTIFACT_BROKEN.
 */
export function decodedBody(request: FastifyRequest, reply: FastifyReply): DecodedBody {
  const {
    'content-encoding': encoding = 'identity',
    'content-length': length,
    [DECODED_LENGTH]: decoded,
  } = request.headers
  if (encoding === 'identity') {
    return { body: openBody(request, reply), sizeBytes: length === undefined ? undefined : Number(length) }
  }
  if (encoding !== 'zstd') {
    throw new AppError(
      'MEDIA_TYPE_UNSUPPORTED',
      `Unsupported media type: content-encoding ${encoding}: send zstd, or none`,
    )
  }
  if (decoded === undefined) throw new AppError('HEADER_MISSING', `Header [${DECODED_LENGTH}] is missing`, {})
  const sizeBytes = Number(decoded)
  if (typeof decoded !== 'string' || !/^\d{1,15}$/.test(decoded)) throw invalid(DECODED_LENGTH, 'it must be a number')
  const body = Readable.from(unpacked(openBody(request, reply), sizeBytes), { objectMode: false })
  return { body, sizeBytes }
}

async function* unpacked(packed: Readable, sizeBytes: number): AsyncGenerator<Buffer> {
  const unpacking = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG } })
  let connection: unknown
  packed.once('error', (error) => {
    connection = error
    unpacking.destroy(error)
  })
  packed.pipe(unpacking)
  let bytes = 0
  try {
    for await (const chunk of unpacking as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > sizeBytes) throw broken(`it unpacks to more than ${sizeBytes} bytes`)
      yield chunk
    }
  } catch (error) {
    throw (
      connection ?? (error instanceof AppError ? error : broken(`it cannot be unpacked: ${(error as Error).message}`))
    )
  } finally {
    packed.unpipe(unpacking)
  }
  if (bytes !== sizeBytes) throw broken(`it unpacks to ${bytes} bytes, not ${sizeBytes}`)
}

const broken = (why: string): AppError => new AppError('ARTIFACT_BROKEN', `replica artifact broken: ${why}`, {})
