import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import type { ImagePlace } from './image-place.ts'

/**
 * Names of uploads that nothing is stored of: signed, so that only those that we gave exist, each in the image it was given for.
 * 10 bytes of time and chance, 16 of signature, `.1` once bytes have come: what is not there from then on was ended.
 */
export interface UploadIds {
  make(place: ImagePlace): UploadSession
  /** @throws AppError UPLOAD_UNKNOWN for one that is not ours, of another image, or too old. */
  open(place: ImagePlace, id: string): UploadSession
}

export interface UploadSession {
  /** Of its bytes in the spool: 32 hex digits. */
  readonly pushId: string
  /** `begun`: bytes have come. */
  readonly state: 'fresh' | 'begun'
  /** What clients are told while it is empty, and from the first bytes on. */
  readonly id: string
  readonly begunId: string
}

/** A client that goes on after this has to begin anew. */
export const UPLOAD_LIFE_MS = 7 * 86_400_000
/** Clocks of several nodes differ. */
const CLOCK_MS = 3_600_000
const TIME_BYTES = 6
const NONCE_BYTES = 10
const NAME_BYTES = TIME_BYTES + NONCE_BYTES
const MAC_BYTES = 16
const FORM = /^([A-Za-z0-9_-]{43})(\.1)?$/

interface UploadIdDeps {
  /** That of the server; nodes that share one understand each other's. */
  readonly secretKey: Buffer
  readonly clock: Pick<Clock, 'now'>
  readonly random: Pick<Random, 'bytes'>
}

export function createUploadIds({ secretKey, clock, random }: UploadIdDeps): UploadIds {
  const key = createHmac('sha256', secretKey).update('entrepot.image-uploads.v1').digest()
  const sign = ({ repository, image }: ImagePlace, name: Buffer): Buffer =>
    createHmac('sha256', key).update(name).update(`${repository.id}/${image}`).digest().subarray(0, MAC_BYTES)
  const sessionOf = (id: string, name: Buffer, state: UploadSession['state']): UploadSession => ({
    ...{ pushId: name.toString('hex'), state },
    ...{ id, begunId: `${id}.1` },
  })
  return {
    make(place) {
      const name = Buffer.alloc(NAME_BYTES)
      name.writeUIntBE(clock.now(), 0, TIME_BYTES)
      random.bytes(NONCE_BYTES).copy(name, TIME_BYTES)
      return sessionOf(Buffer.concat([name, sign(place, name)]).toString('base64url'), name, 'fresh')
    },
    open(place, id) {
      const [, text, begun] = FORM.exec(id) ?? []
      if (text === undefined) throw unknownUpload(id)
      const bytes = Buffer.from(text, 'base64url')
      const name = bytes.subarray(0, NAME_BYTES)
      if (!timingSafeEqual(sign(place, name), bytes.subarray(NAME_BYTES))) throw unknownUpload(id)
      const age = clock.now() - name.readUIntBE(0, TIME_BYTES)
      if (age > UPLOAD_LIFE_MS || age < -CLOCK_MS) throw unknownUpload(id)
      return sessionOf(text, name, begun === undefined ? 'fresh' : 'begun')
    },
  }
}

export const unknownUpload = (id: string): AppError =>
  new AppError(
    'UPLOAD_UNKNOWN',
    `Upload [${id.slice(0, 64)}] is not open in this image: it was never begun, has ended, or is older than seven days`,
    {},
  )
