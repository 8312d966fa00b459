import type { Clock } from '../core/clock.ts'
import type { Ids, Random } from '../core/ids.ts'

const COUNTER_LIMIT = 2 ** 24

/**
 * Ids: 32 bits of seconds, 40 random bits of this process, a 24-bit counter that starts at random (the layout of object ids), so
 * that they ascend within a process and nodes do not collide. The time never goes back, and moves on when the counter is through.
 */
export function createSystemIds(clock: Pick<Clock, 'now'>, random: Random): Ids {
  const processPart = random.bytes(5).toString('hex')
  const newCounter = () => random.bytes(2).readUInt16BE()
  let second = 0
  let counter = newCounter()
  return {
    id() {
      const now = Math.floor(clock.now() / 1000)
      if (now > second) {
        second = now
        counter = newCounter()
      } else if (++counter === COUNTER_LIMIT) {
        second++
        counter = 0
      }
      return second.toString(16).padStart(8, '0') + processPart + counter.toString(16).padStart(6, '0')
    },
    key: () => random.bytes(16).toString('hex'),
  }
}
