import { pino } from 'pino'
import { readInvocation } from './config.ts'
import { startServer } from './server.ts'

/** A process of `scratch-server.ts`: serves until its parent lets go of it, or is gone. */
const invocation = await readInvocation({ args: process.argv.slice(2), env: process.env, cwd: process.cwd() })
if (invocation.kind !== 'serve') throw new Error('A scratch server serves')
process.once('disconnect', () => process.exit())
const { url } = await startServer(invocation.config, pino({ level: 'silent' }))
process.send!({ url })
