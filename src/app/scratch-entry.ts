import { once } from 'node:events'
import { pino } from 'pino'
import { readInvocation } from './config.ts'
import { startServer } from './server.ts'

/** A process of `scratch-server.ts`: serves until its parent lets go of it, or is gone. Its secrets come as a message, not by environment. */
process.once('disconnect', () => process.exit())
const [env] = (await once(process, 'message')) as [Readonly<Record<string, string>>]
const invocation = await readInvocation({ args: process.argv.slice(2), env, cwd: process.cwd() })
if (invocation.kind !== 'serve') throw new Error('A scratch server serves')
const { url } = await startServer(invocation.config, pino({ level: 'silent' }))
process.send!({ url })
