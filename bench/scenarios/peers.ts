import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../test/helpers/free-port.ts'
import type { Measurement } from '../measurement.ts'
import { mustHoldFiles, startPeer, timePeers, writeFiles } from '../peers.ts'
import { perSecond, type Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'

/** One way of a peer to copy a directory over loopback HTTP or TCP. */
interface Way {
  readonly name: string
  /** The program that listens, and what is run to copy `from` to `to`. */
  commands(dirs: { readonly from: string; readonly to: string }, port: number): Promise<WayCommands>
}
interface WayCommands {
  readonly server: readonly string[]
  readonly copy: readonly string[]
  /** Makes durable what the copy itself left to the system. */
  readonly sync?: readonly string[]
}

const address = (port: number) => `127.0.0.1:${port}`
const QUIET = ['-q', '--config', '/dev/null']
/** Neither reads the other's clock nor compares: the target is empty. */
const RCLONE = ['--no-traverse', '--no-check-dest', '--ignore-times', '--retries', '1', ...QUIET]

/** rclone syncs no file, so the whole file system is synced once at the end: less than one sync for each batch. */
const syncAll = (dir: string) => ['sync', '-f', dir]

/**
 * The target fetches, which is rclone's fastest way over HTTP: its WebDAV client keeps 10 ms between any two calls (1.60: 28
 * files a second at any number of transfers).
 */
const pull = (transfers: number): Way => ({
  name: `serve http, copy :http:, ${transfers} transfers`,
  commands: async ({ from, to }, port) => ({
    server: ['rclone', 'serve', 'http', from, '--addr', address(port), ...QUIET],
    copy: ['rclone', 'copy', ':http:', to, '--http-url', `http://${address(port)}`, ...RCLONE, ...at(transfers)],
    sync: syncAll(to),
  }),
})
const at = (transfers: number) => ['--transfers', String(transfers), '--checkers', String(transfers)]

/** `--fsync` is of rsync 3.2.4 and later: one sync for each file, at the receiver. */
const rsync = (flags: readonly string[], sync: boolean): Way => ({
  name: `rsync ${['-a', ...flags].join(' ')} to a daemon${sync ? ', one sync at the end' : ''}`,
  async commands({ from, to }, port) {
    const config = `${to}.conf`
    const own = process.getuid?.() === 0 ? 'uid = root\ngid = root\n' : ''
    await writeFile(config, `use chroot = no\n${own}[target]\npath = ${to}\nread only = no\n`)
    const server = [
      'rsync',
      '--daemon',
      '--no-detach',
      '--config',
      config,
      '--address',
      '127.0.0.1',
      '--port',
      `${port}`,
    ]
    const copy = ['rsync', '-a', ...flags, `${from}/`, `rsync://${address(port)}/target/`]
    return sync ? { server, copy, sync: syncAll(to) } : { server, copy }
  },
})

function peer(name: string, program: string, ways: readonly Way[]): Scenario {
  return {
    name,
    title: `the same files from directory to directory by ${program}`,
    needs: [program],
    run: (stage, signal) => measurePeer(name, stage, ways, signal),
  }
}

/** Every way in turn, each into an empty directory, compared afterwards; the best of them counts. */
async function measurePeer(
  name: string,
  { dir, small }: Stage,
  ways: readonly Way[],
  signal: AbortSignal,
): Promise<Measurement> {
  const work = await mkdtemp(join(dir, `${name}-`))
  const from = join(work, 'from')
  await writeFiles(from, small, signal)
  const results: Measurement[] = []
  for (const way of ways) {
    const to = await mkdtemp(join(work, 'to-'))
    const port = await freePort()
    const { server, copy, sync } = await way.commands({ from, to }, port)
    await using listening = await startPeer(server, port, signal)
    const used = await timePeers(sync === undefined ? [copy] : [copy, sync], listening)
    await mustHoldFiles(to, small, signal)
    const value = perSecond(small.length, used.ms)
    const line = `${way.name}: ${value.toFixed(0)} files/s`
    console.error(`  ${line}`)
    results.push({ scenario: name, what: line, value, unit: 'files/s', goals: [], a: used.client, b: used.server })
  }
  await rm(work, { recursive: true, force: true, maxRetries: 3 })
  const best = results.toSorted((one, other) => other.value - one.value)[0]!
  return { ...best, what: results.map(({ what }) => what).join('; ') }
}

export const PEER_SCENARIOS: readonly Scenario[] = [
  peer('rclone-small', 'rclone', [pull(4), pull(16), pull(64)]),
  peer('rsync-small', 'rsync', [rsync([], true), rsync(['--fsync'], false)]),
]
