import { createCipheriv, createDecipheriv, scrypt } from 'node:crypto'
import type { Random } from '../../../core/ids.ts'
import { readSummedJson, summedJson } from './summed-json.ts'

export const MASTER_KEY_BYTES = 32
const TAG_BYTES = 16

/** What it costs to try a passphrase: 128 · cost · blockSize bytes of memory, as many steps. */
export interface ScryptCost {
  readonly cost: number
  readonly blockSize: number
  readonly parallel: number
}
/** 64 MiB, about 0.2 s. */
export const DEFAULT_COST: ScryptCost = { cost: 65_536, blockSize: 8, parallel: 1 }
/** More is refused: whoever can write to the place must not be able to stop the server with it. */
const MOST_MEMORY_BYTES = 512 * 1024 * 1024
/** About 3 s. */
const MOST_STEPS = 16 * DEFAULT_COST.cost * DEFAULT_COST.blockSize
const MOST_PARALLEL = 4

/** A master key, wrapped by a passphrase. */
export interface KeySlot extends ScryptCost {
  /** ISO 8601, UTC. */
  readonly createdDate: string
  /** What people call it; anybody who sees the place can read it. */
  readonly label?: string | undefined
  /** Each base64. */
  readonly salt: string
  readonly nonce: string
  readonly wrapped: string
}

/** @param repositoryId binds the slot to its repository. */
export async function wrapKey(
  master: Buffer,
  passphrase: string,
  repositoryId: string,
  about: Pick<KeySlot, 'createdDate' | 'label'>,
  cost: ScryptCost,
  random: Random,
): Promise<Buffer> {
  const [salt, nonce] = [random.bytes(32), random.bytes(12)]
  const cipher = createCipheriv('aes-256-gcm', await stretched(passphrase, salt, cost), nonce)
  cipher.setAAD(Buffer.from(repositoryId))
  const wrapped = Buffer.concat([cipher.update(master), cipher.final(), cipher.getAuthTag()])
  const [salt64, nonce64, wrapped64] = [salt, nonce, wrapped].map((bytes) => bytes.toString('base64'))
  return summedJson({ kdf: 'scrypt', ...cost, ...about, salt: salt64, nonce: nonce64, wrapped: wrapped64 })
}

/** @returns undefined when it is damaged. */
export function readSlot(bytes: Buffer): KeySlot | undefined {
  const slot = readSummedJson(bytes) as (Partial<KeySlot> & { kdf?: unknown }) | undefined
  if (slot?.kdf !== 'scrypt') return undefined
  const { cost, blockSize, parallel, createdDate, label = '', salt, nonce, wrapped } = slot
  const numbers = [cost, blockSize, parallel].every((value) => Number.isSafeInteger(value) && value! > 0)
  const texts = [createdDate, label, salt, nonce, wrapped].every((value) => typeof value === 'string')
  if (!numbers || !texts || !isBearable(slot as KeySlot)) return undefined
  return slot as KeySlot
}

/** @returns undefined when it is another passphrase. */
export async function unwrapKey(slot: KeySlot, passphrase: string, repositoryId: string): Promise<Buffer | undefined> {
  const [salt, nonce, wrapped] = [slot.salt, slot.nonce, slot.wrapped].map((text) => Buffer.from(text, 'base64'))
  if (wrapped!.length !== MASTER_KEY_BYTES + TAG_BYTES || nonce!.length === 0) return undefined
  const decipher = createDecipheriv('aes-256-gcm', await stretched(passphrase, salt!, slot), nonce!)
  decipher.setAAD(Buffer.from(repositoryId)).setAuthTag(wrapped!.subarray(MASTER_KEY_BYTES))
  try {
    return Buffer.concat([decipher.update(wrapped!.subarray(0, MASTER_KEY_BYTES)), decipher.final()])
  } catch {
    return undefined
  }
}

/** Others are no cost of scrypt, or take a thread for hours. */
function isBearable(given: ScryptCost): boolean {
  const { cost, blockSize, parallel } = given
  const isPowerOfTwo = cost > 1 && Number.isInteger(Math.log2(cost))
  const isShort = parallel <= MOST_PARALLEL && cost * blockSize * parallel <= MOST_STEPS
  return isPowerOfTwo && isShort && memoryBytes(given) <= MOST_MEMORY_BYTES
}

const memoryBytes = ({ cost, blockSize, parallel }: ScryptCost): number => 128 * blockSize * (cost + parallel)

/** In a thread of the runtime's. */
function stretched(passphrase: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> {
  const { cost: N, blockSize: r, parallel: p } = cost
  const options = { N, r, p, maxmem: memoryBytes(cost) + 1024 * 1024 }
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFKC'), salt, 32, options, (error, key) => (error ? reject(error) : resolve(key)))
  })
}
