import { type Argon2Parameters, argon2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { Semaphore } from '../core/concurrency.ts'
import { AppError } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'

/** Slow, salted hashes of passwords: argon2id as PHC strings, e.g. `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`. */
export interface Passwords {
  /** @throws AppError TOO_MANY_REQUESTS, as `verify`. */
  hash(password: string): Promise<string>
  /** Takes the same time when there is no such user (`undefined`). @throws AppError TOO_MANY_REQUESTS when too many wait. */
  verify(password: string, phc: string | undefined): Promise<boolean>
}

// OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, 2 passes, 1 lane.
const COST = { memory: 19_456, passes: 2, parallelism: 1 }
const TAG_BYTES = 32
const SALT_BYTES = 16
/** Each takes 19 MiB and one of the four threads that files share. */
const AT_ONCE = 2
/** Some seconds of work; more would wait longer than clients do. */
const MAX_WAITING = 200

const argon2Async = promisify(argon2)
const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** Of a hash that came from elsewhere: more would stop logins for everybody. */
const MOST = { memory: 256 * 1024, passes: 16, parallelism: 8, characters: 256 }
const LEAST_SALT_BYTES = 8

/** Whether a text is a hash as `hash` makes them, and costs no more than this server can bear. */
export function isPasswordHash(text: string): boolean {
  const [, memory, passes, lanes, salt, tag] = (text.length <= MOST.characters && PHC.exec(text)) || []
  if (tag === undefined) return false
  const [m, t, p] = [Number(memory), Number(passes), Number(lanes)]
  const isBearable = m <= MOST.memory && t >= 1 && t <= MOST.passes && p >= 1 && p <= MOST.parallelism && m >= 8 * p
  return (
    isBearable && Buffer.from(salt!, 'base64').length >= LEAST_SALT_BYTES && Buffer.from(tag, 'base64').length >= 16
  )
}

export function createPasswords(random: Random): Passwords {
  const slots = new Semaphore(AT_ONCE)
  let waiting = 0

  async function derive(password: string, parameters: Omit<Argon2Parameters, 'message'>): Promise<Buffer> {
    if (waiting >= MAX_WAITING) throw new AppError('TOO_MANY_REQUESTS', 'Too many logins at once, try again later')
    waiting++
    try {
      using _slot = await slots.acquire()
      // Two keyboards may compose one character differently (RFC 8265).
      return await argon2Async('argon2id', { ...parameters, message: password.normalize('NFC') })
    } finally {
      waiting--
    }
  }
  const dummy = format(random.bytes(SALT_BYTES), random.bytes(TAG_BYTES))
  return {
    async hash(password) {
      const nonce = random.bytes(SALT_BYTES)
      return format(nonce, await derive(password, { ...COST, nonce, tagLength: TAG_BYTES }))
    },
    async verify(password, phc) {
      const [, memory, passes, lanes, salt, tag] = PHC.exec(phc ?? dummy) ?? []
      if (tag === undefined) throw new Error('a stored password hash is not an argon2id PHC string')
      const expected = Buffer.from(tag, 'base64')
      const found = await derive(password, {
        memory: Number(memory),
        passes: Number(passes),
        parallelism: Number(lanes),
        nonce: Buffer.from(salt!, 'base64'),
        tagLength: expected.length,
      })
      return timingSafeEqual(found, expected) && phc !== undefined
    },
  }
}

function format(salt: Buffer, tag: Buffer): string {
  const text = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${COST.memory},t=${COST.passes},p=${COST.parallelism}$${text(salt)}$${text(tag)}`
}
