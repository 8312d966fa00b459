import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** Below the range that outgoing connections take their ports from (32768 up on Linux), so that none of them gets in the way. */
const FIRST = 20_000
const COUNT = 12_000
const ATTEMPTS = 50

/** A loopback port that nobody listens on right now. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (await isFree(port)) return port
  }
  throw new Error(`no free loopback port found between ${FIRST} and ${FIRST + COUNT}`)
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen(port, '127.0.0.1')
    await once(probe, 'listening')
    return (probe.address() as AddressInfo).port === port
  } catch {
    return false
  } finally {
    if (probe.listening) {
      probe.close()
      await once(probe, 'close')
    }
  }
}
