import { isIPv6 } from 'node:net'
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'

export interface ThrottleLimits {
  /** Wrong logins as one user from one address before that pair waits. */
  readonly loginFailures: number
  /** As one user from all addresses. */
  readonly userFailures: number
  /** From one address as any users: many people may share it. */
  readonly addressFailures: number
  /** Failures are forgotten when none came for so long. */
  readonly windowMs: number
  /** The longest wait. It starts with a second and doubles with each further failure. */
  readonly longestWaitMs: number
}

export interface LoginAttempt {
  /** The user or access key as the caller named it; empty: the credential names none. */
  readonly subject: string
  readonly address: string
  /** Stands for the whole credential; the same one again is the same guess. */
  readonly fingerprint: string
  /** What the refusal tells of the caller, for the audit log. */
  readonly claimed?: Readonly<Record<string, unknown>> | undefined
}

/** Slows down guessing. Asked before a credential is verified; verified ones that are remembered never come here. */
export interface LoginThrottle {
  /**
   * Says that a verification begins; exactly one method of the answer says how it ended.
   * @throws AppError TOO_MANY_REQUESTS with `detail.retryAfterS`.
   */
  begin(attempt: LoginAttempt): { succeeded(): void; failed(): void; abandoned(): void }
}

interface Failures {
  count: number
  /** Verifications that run. */
  pending: number
  lastAt: number
  lockedUntil: number
}

const FIRST_WAIT_MS = 1_000
/** Of one credential, and of one user from all addresses: short, so that a corrected password is not kept waiting. */
const SHORT_WAIT_MS = 30_000
const MAX_ENTRIES = 20_000

/**
 * Four counters, in memory of this process: of the credential itself, of user and address, of the user, of the address. A credential
 * that is repeated counts once in the latter three, so that a job with an old password locks out itself and nobody behind the same
 * address. The count of a user from all addresses does not hold where that user logged in before: whoever is attacked goes on
 * working from the usual place, and waits at most half a minute at a time elsewhere.
 */
export function createLoginThrottle(clock: Clock, limits: ThrottleLimits): LoginThrottle {
  const byCredential = counters(limits.loginFailures, Math.min(SHORT_WAIT_MS, limits.longestWaitMs))
  const byPair = counters(limits.loginFailures, limits.longestWaitMs)
  const byUser = counters(limits.userFailures, Math.min(SHORT_WAIT_MS, limits.longestWaitMs))
  const byAddress = counters(limits.addressFailures, limits.longestWaitMs)
  const trusted = new Set<string>()

  function counters(limit: number, longestWaitMs: number) {
    const entries = new Map<string, Failures>()
    const isOver = ({ pending, lastAt }: Failures) => pending === 0 && clock.now() - lastAt >= limits.windowMs
    /** The least recently used ones go first; those whose verification runs stay. */
    function makeRoom(): void {
      for (const [key, entry] of entries) {
        if (entries.size < MAX_ENTRIES) return
        if (entry.pending === 0) entries.delete(key)
      }
    }
    const counter = {
      find(key: string): Failures | undefined {
        const entry = entries.get(key)
        if (entry === undefined || !isOver(entry)) return entry
        entries.delete(key)
        return undefined
      },
      get(key: string): Failures {
        const known = counter.find(key)
        if (known !== undefined) entries.delete(key)
        else makeRoom()
        const entry = known ?? { count: 0, pending: 0, lastAt: clock.now(), lockedUntil: 0 }
        entries.set(key, entry)
        return entry
      },
      /** Milliseconds; 0: none. */
      wait(key: string): number {
        const entry = counter.find(key)
        if (entry === undefined) return 0
        const crowded = entry.pending > 0 && entry.count + entry.pending >= limit ? FIRST_WAIT_MS : 0
        return Math.max(crowded, entry.lockedUntil - clock.now())
      },
      fail(key: string): void {
        const entry = counter.get(key)
        entry.count++
        entry.lastAt = clock.now()
        const beyond = entry.count - limit
        if (beyond < 0) return
        const waitMs = Math.min(FIRST_WAIT_MS * 2 ** Math.min(beyond, 30), longestWaitMs)
        entry.lockedUntil = clock.now() + waitMs
        // The count outlives the wait, or a patient guesser would start anew each time.
        entry.lastAt = entry.lockedUntil
      },
      forget: (key: string) => entries.delete(key),
    }
    return counter
  }

  function trust(pair: string): void {
    trusted.delete(pair)
    trusted.add(pair)
    if (trusted.size > MAX_ENTRIES) trusted.delete(trusted.values().next().value!)
  }

  return {
    begin({ subject, address, fingerprint, claimed }) {
      const network = networkOf(address)
      const credential = `${network}\u0000${fingerprint}`
      const pair = subject === '' ? undefined : `${network}\u0000${subject}`
      const waitMs = Math.max(
        byCredential.wait(credential),
        pair !== undefined && trusted.has(pair) ? 0 : byAddress.wait(network),
        pair === undefined ? 0 : byPair.wait(pair),
        pair === undefined || trusted.has(pair) ? 0 : byUser.wait(subject),
      )
      if (waitMs > 0) throw tooMany(Math.ceil(waitMs / 1000), claimed)
      const running = pair === undefined ? undefined : byPair.get(pair)
      if (running !== undefined) running.pending++
      const end = () => {
        if (running !== undefined) running.pending--
      }
      return {
        abandoned: end,
        succeeded() {
          end()
          byCredential.forget(credential)
          if (pair === undefined) return
          byPair.forget(pair)
          byUser.forget(subject)
          trust(pair)
        },
        failed() {
          end()
          const isNew = byCredential.find(credential) === undefined
          byCredential.fail(credential)
          if (!isNew) return
          byAddress.fail(network)
          if (pair === undefined) return
          byPair.fail(pair)
          byUser.fail(subject)
        },
      }
    },
  }
}

/** One home or office has a whole /64 of IPv6; IPv4 written as IPv6 is IPv4. */
export function networkOf(address: string): string {
  const [, ipv4] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? []
  if (ipv4 !== undefined) return ipv4
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.split('%', 1)[0]!.toLowerCase().split('::')
  const groups = head === '' ? [] : head.split(':')
  const last = tail === '' ? [] : tail.split(':')
  const zeros = address.includes('::') ? Array<string>(Math.max(0, 8 - groups.length - last.length)).fill('0') : []
  const prefix = [...groups, ...zeros, ...last].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''))
  return `${prefix.join(':')}::/64`
}

const tooMany = (retryAfterS: number, claimed: LoginAttempt['claimed']): AppError =>
  new AppError('TOO_MANY_REQUESTS', `Too many failed logins, try again in ${retryAfterS} s`, {
    ...claimed,
    retryAfterS,
  })
