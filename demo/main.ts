// `npm run demo`: two clusters, real files, one replication task, and a comparison from outside.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ApiError, connectApi } from '../test/helpers/api.ts'
import { type ServerProcess, startServer } from '../test/helpers/server-process.ts'
import { type DemoArguments, demoArguments, HELP } from './arguments.ts'
import { chooseInput } from './input.ts'
import { DemoFailure, narrate } from './narrator.ts'
import { tell } from './story.ts'

const NAMES = ['cluster-a', 'cluster-b'] as const
const terminal = process.stdout
const narrator = narrate(terminal)
const stop = new AbortController()
// The terminal and npm both pass on Ctrl-C: a second signal finds the first one already at work.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => stop.abort(new DemoFailure('Interrupted.')))

const wanted = parse()
if (wanted === undefined) console.log(HELP)
else process.exitCode = await run(wanted, stop.signal)

function parse(): DemoArguments | undefined {
  try {
    return demoArguments(process.argv.slice(2))
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`)
    process.exit(2)
  }
}

/** Exit code of the demo: 0 only when all of it held. */
async function run({ end }: DemoArguments, signal: AbortSignal): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-demo-'))
  const servers: ServerProcess[] = []
  let code = 1
  try {
    narrator.step('Starting two clusters with fresh data')
    for (const name of NAMES) {
      const options = { name, dataDir: join(dir, name), password: randomBytes(9).toString('base64url') }
      servers.push(await startServer({ ...options, life: end === 'keep' ? 'outlives' : 'ends with us' }, signal))
      narrator.say(`${name}  ${servers.at(-1)?.url}`)
    }
    await play(servers[0]!, servers[1]!, signal)
    code = 0
    terminal.write('\nAll of it held: every file is on both sides, byte for byte.\n')
  } catch (error) {
    explain(signal.aborted ? signal.reason : error, servers)
  } finally {
    if (end === 'keep' && servers.length === 2 && !signal.aborted) describe(servers, dir)
    else await cleanUp(servers, dir, code)
  }
  return signal.aborted ? 130 : code
}

async function play(a: ServerProcess, b: ServerProcess, signal: AbortSignal): Promise<void> {
  using apiA = connectApi(a)
  using apiB = connectApi(b)
  const input = await chooseInput(fileURLToPath(new URL('../node_modules', import.meta.url)))
  await tell({ a: apiA, b: apiB, addressOfB: b, terminal, narrator }, input, signal)
}

/** Says what failed in words; a stack trace only for what we did not foresee. */
function explain(error: unknown, servers: readonly ServerProcess[]): void {
  const { message } = error as Error
  const lines = error instanceof DemoFailure ? error.lines : []
  console.error(`\n${[message, ...lines.map((line) => `  ${line}`)].join('\n')}`)
  const foreseen = error instanceof DemoFailure || error instanceof ApiError
  if (!foreseen && process.env.ENTREPOT_DEMO_DEBUG !== undefined) console.error(error)
  if (stop.signal.aborted) return
  for (const server of servers) console.error(`Log of ${server.name}: ${server.logFile}`)
}

function describe(servers: readonly ServerProcess[], dir: string): void {
  terminal.write('\nBoth servers go on running:\n')
  for (const { name, url, user, password } of servers)
    terminal.write(`  ${name}  ${url}  user ${user}  password ${password}\n`)
  terminal.write(`Stop them with: kill ${servers.map(({ pid }) => pid).join(' ')}\nTheir data: ${dir}\n`)
}

/** Stops our servers; the data goes too, unless something failed and its logs are worth a look. */
async function cleanUp(servers: readonly ServerProcess[], dir: string, code: number): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()))
  const useful = code !== 0 && !stop.signal.aborted
  const unwanted = useful ? NAMES.map((name) => join(dir, name)) : [dir]
  for (const path of unwanted) await rm(path, { recursive: true, force: true, maxRetries: 3 })
}
