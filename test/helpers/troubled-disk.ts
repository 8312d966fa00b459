import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const PRELOAD = fileURLToPath(new URL('./disk-trouble.ts', import.meta.url))
const POLL_MS = 5
const HIT_WITHIN_MS = 30_000

/** What ails the disk: syncs or writes of files below the blobs directory fail, or the SQLite database may not grow. */
export type DiskTrouble = 'EIO on sync' | 'EIO on write' | 'ENOSPC on write' | 'ENOSPC on sync' | 'ENOSPC on database'

/** For `startServer`: a server whose disk can be made to fail, and to recover, while it runs. Linux only. */
export interface TroubledDisk {
  readonly env: Readonly<Record<string, string>>
  readonly nodeFlags: readonly string[]
  begin(trouble: DiskTrouble): Promise<void>
  end(): Promise<void>
  /** Resolves once the server has met the trouble `count` times. */
  hit(count: number, signal: AbortSignal): Promise<void>
}

/** @param control path of a file that is made and removed. @param blobsDir of the server: files elsewhere do not suffer. */
export function troubledDisk(control: string, blobsDir: string): TroubledDisk {
  const hits = async () => (await readFile(`${control}.hits`, 'utf8').catch(() => '')).split('\n').length - 1
  return {
    env: { ENTREPOT_TEST_DISK_TROUBLE: control, ENTREPOT_TEST_DISK_TROUBLE_BELOW: blobsDir },
    nodeFlags: ['--import', PRELOAD],
    async begin(trouble) {
      // Appears with its content: the server may look at any time.
      await writeFile(`${control}.new`, trouble)
      await rename(`${control}.new`, control)
    },
    end: () => rm(control, { force: true }),
    async hit(count, signal) {
      const deadline = performance.now() + HIT_WITHIN_MS
      while ((await hits()) < count) {
        if (performance.now() > deadline) throw new Error('the server did not meet the trouble of its disk')
        await sleep(POLL_MS, undefined, { signal })
      }
    },
  }
}
