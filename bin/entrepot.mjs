#!/usr/bin/env node
// The command `entrepot`: hands over to the pinned Node of node_modules, whatever Node started it.
// Plain JavaScript for Node >= 18, because on a fresh clone nothing is installed yet.
import { spawn, spawnSync } from 'node:child_process'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const { status } = spawnSync(process.execPath, [at('scripts/ensure-installed.mjs'), '--runtime-only'], {
  stdio: ['ignore', 'inherit', 'inherit'],
})
if (status !== 0) process.exit(status ?? 1)

// The same memory settings as `npm start`.
const args = ['--max-semi-space-size=2', at('src/app/main.ts'), ...process.argv.slice(2)]
const child = spawn(at('node_modules/.bin/node'), args, { stdio: 'inherit', env: { MALLOC_ARENA_MAX: '2', ...process.env } })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  // A terminal sends Ctrl-C to both of us: the child takes two at once as one.
  process.on(signal, () => child.kill(signal))
}
child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
