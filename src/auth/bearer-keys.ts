import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import { createKeyFile } from './key-file.ts'

/** An ES256 key. `id` is the JWK thumbprint of its public half (RFC 7638), the `kid` of tokens. */
export interface BearerKey {
  readonly id: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** The keys that bearer tokens are signed with: the newest signs, all verify. */
export interface BearerKeys {
  signing(): Promise<BearerKey>
  find(id: string): Promise<BearerKey | undefined>
  /** Makes a new key when the newest is old, and deletes keys that no living token can be signed with. */
  rotate(): Promise<void>
}

interface KeyFolder {
  /** Exists, readable by its owner alone. Nodes that share tokens share it, or have a configured key. */
  readonly path: string
  readonly clock: Clock
  readonly random: Random
}

const DAY_MS = 86_400_000
const ROTATED_AFTER_MS = 90 * DAY_MS
/** Longer than any token lives (`bearer-tokens.ts`, `refresh-tokens.ts`) and any process signs with a key it has read. */
const KEPT_AFTER_SUCCESSOR_MS = 32 * DAY_MS
/** How long another process may go on signing with the key before. */
const REREAD_MS = 10 * 60_000
/** A key that is not there is looked for no more often. */
const REREAD_FOR_UNKNOWN_MS = 5_000
/** `token-<UTC epoch milliseconds>-<random>.pem`: order of names is order of time. */
const FILE = /^token-(\d{14})-[0-9a-f]{8}\.pem$/

/**
 * One file per key, so that two processes that rotate at once leave two good keys. @throws AppError SYSTEM_ERROR when a file is no
 * key, from the first use on.
 */
export function keysInFolder({ path, clock, random }: KeyFolder): BearerKeys {
  let keys: readonly BearerKey[] = []
  let readAt = -Infinity
  let reading: Promise<void> | undefined

  const names = async () => (await readdir(path)).filter((name) => FILE.test(name)).sort()
  const madeAt = (name: string) => Number(FILE.exec(name)![1])

  async function make(): Promise<void> {
    const stamp = String(clock.now()).padStart(14, '0')
    const file = join(path, `token-${stamp}-${random.bytes(4).toString('hex')}.pem`)
    await createKeyFile(file, random, () => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    })
  }
  async function readAll(): Promise<void> {
    if ((await names()).length === 0) await make()
    const found = await Promise.all((await names()).map((name) => readKey(join(path, name))))
    keys = found.filter((key) => key !== undefined)
    readAt = clock.now()
  }
  /** Callers at one time share one reading. */
  function reread(): Promise<void> {
    reading ??= readAll().finally(() => {
      reading = undefined
    })
    return reading
  }
  return {
    async signing() {
      if (clock.now() - readAt >= REREAD_MS) await reread()
      return keys.at(-1)!
    },
    async find(id) {
      const known = keys.find((key) => key.id === id)
      if (known !== undefined || clock.now() - readAt < REREAD_FOR_UNKNOWN_MS) return known
      await reread()
      return keys.find((key) => key.id === id)
    },
    async rotate() {
      const newest = (await names()).at(-1)
      if (newest === undefined || clock.now() - madeAt(newest) >= ROTATED_AFTER_MS) await make()
      const all = await names()
      const outlived = all.filter((_name, index) => {
        const successor = all[index + 1]
        return successor !== undefined && clock.now() - madeAt(successor) >= KEPT_AFTER_SUCCESSOR_MS
      })
      for (const name of outlived) await rm(join(path, name), { force: true })
      await reread()
    },
  }
}

/** Undefined: it was deleted meanwhile. */
async function readKey(file: string): Promise<BearerKey | undefined> {
  let pem: string
  try {
    pem = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return keyOf(pem)
  } catch (cause) {
    const why = 'it is no P-256 private key in PEM. Delete it; tokens signed with it are refused then'
    throw new AppError('SYSTEM_ERROR', `The key file ${file} is damaged: ${why}`, { file }, { cause })
  }
}

/**
 * Keys from the configuration, which rotates them: the first one signs.
 * @param pem one or more PKCS#8 blocks. @throws AppError PARAMETER_INVALID naming `auth.tokenKey`, never showing it.
 */
export function configuredKeys(pem: string): BearerKeys {
  const blocks =
    pem.replaceAll('\\n', '\n').match(/-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----/g) ?? []
  const why = 'auth.tokenKey is invalid: it must hold P-256 private keys as PKCS#8 in PEM'
  if (blocks.length === 0) throw new AppError('PARAMETER_INVALID', why, { name: 'auth.tokenKey' })
  const keys = blocks.map((block) => {
    try {
      return keyOf(block)
    } catch (cause) {
      throw new AppError('PARAMETER_INVALID', why, { name: 'auth.tokenKey' }, { cause })
    }
  })
  return {
    signing: async () => keys[0]!,
    find: async (id) => keys.find((key) => key.id === id),
    rotate: async () => {},
  }
}

function keyOf(pem: string): BearerKey {
  const privateKey = createPrivateKey(pem)
  const publicKey = createPublicKey(privateKey)
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  if (kty !== 'EC' || crv !== 'P-256') throw new Error('not a P-256 key')
  const id = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
  return { id, privateKey, publicKey }
}
