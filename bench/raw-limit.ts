import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Api, connectApi } from '../test/helpers/api.ts'

export interface RawLimit extends AsyncDisposable {
  readonly api: Api
}

/** Starts the raw server in a process of its own and speaks to it with the client that our servers get. */
export async function startRawLimit(dir: string): Promise<RawLimit> {
  const program = fileURLToPath(new URL('./raw-server.ts', import.meta.url))
  const child = spawn(process.execPath, [program, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const api = connectApi({ url: `http://127.0.0.1:${Number(line.toString())}`, user: 'nobody', password: 'none' })
  return {
    api,
    async [Symbol.asyncDispose]() {
      api[Symbol.dispose]()
      if (child.exitCode !== null) return
      const exited = once(child, 'exit')
      child.kill()
      await exited
    },
  }
}
