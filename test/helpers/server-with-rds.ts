import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

enableCompileCache(join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'entrepot'))
const { pino } = await import('pino')
const { readInvocation } = await import('../../src/app/config.ts')
const { startServer } = await import('../../src/app/server.ts')
const { FORMATS } = await import('../../src/formats/all.ts')
const { rdsFormat } = await import('./rds-format.ts')

// The program `serve` with the package type of tests besides those that are built, for `startServer({ program: … })`.
const invocation = await readInvocation({ args: process.argv.slice(2), env: process.env, cwd: process.cwd() })
if (invocation.kind !== 'serve') throw new Error('not a configuration of a server')
const { config } = invocation
const server = await startServer(config, pino({ level: config.logLevel }), () => {}, [...FORMATS, rdsFormat])
process.once('SIGTERM', () => {
  void server.stop().then(() => process.exit(0))
})
