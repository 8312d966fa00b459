import { createHash } from 'node:crypto'
import type { Random } from '../core/ids.ts'

/** Lets people and scanners recognise a leaked token. */
const PREFIX = 'entrepot_'
const RANDOM_BYTES = 32

/** E.g. `entrepot_` and 43 characters of base64url. */
export const makeToken = (random: Random): string => PREFIX + random.bytes(RANDOM_BYTES).toString('base64url')
export const looksLikeToken = (text: string): boolean => text.startsWith(PREFIX)
/** A token is random, so that its hash needs no salt and no slowness. */
export const tokenHash = (token: string): Buffer => createHash('sha256').update(token).digest()
