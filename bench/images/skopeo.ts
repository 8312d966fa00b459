import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { watchUsage } from '../process-usage.ts'
import type { CopiedImage, CopyEnd } from './copier.ts'

const QUIET = ['--insecure-policy']
const PLAIN = ['--src-tls-verify=false', '--dest-tls-verify=false']

/** All tags of these images, as the program does it. @returns its processor time. */
export async function skopeoSync(
  dir: string,
  from: CopyEnd,
  to: CopyEnd,
  images: readonly CopiedImage[],
): Promise<{ readonly cpuSeconds: number }> {
  const byName = Map.groupBy(images, ({ name }) => name)
  const lines = [...byName].map(
    ([name, tags]) => `    ${from.repository}/${name}: [${tags.map(({ tag }) => JSON.stringify(tag)).join(', ')}]`,
  )
  const list = join(dir, `skopeo-${from.repository.replaceAll('/', '-')}.yml`)
  await writeFile(
    list,
    `${hostOf(from)}:
  tls-verify: false
  credentials: { username: ${from.username}, password: ${from.password} }
  images:
${lines.join('\n')}
`,
  )
  const target = `${hostOf(to)}/${to.repository}`
  return skopeo([
    'sync',
    '--src',
    'yaml',
    '--dest',
    'docker',
    '--dest-tls-verify=false',
    ...login('dest', to),
    list,
    target,
  ])
}

export function skopeoCopy(from: CopyEnd, to: CopyEnd, { name, tag }: CopiedImage) {
  const at = (end: CopyEnd) => `docker://${hostOf(end)}/${end.repository}/${name}:${tag}`
  return skopeo(['copy', ...PLAIN, ...login('src', from), ...login('dest', to), at(from), at(to)])
}

const login = (side: 'src' | 'dest', { username, password }: CopyEnd): string[] =>
  username === undefined ? [] : [`--${side}-creds`, `${username}:${password}`]
const hostOf = ({ url }: CopyEnd): string => new URL(url).host

async function skopeo(args: readonly string[]): Promise<{ readonly cpuSeconds: number }> {
  const child = spawn('skopeo', [...QUIET, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors = `${errors}${chunk}`.slice(-2_000)
  })
  const watch = watchUsage([child.pid!])
  const [code] = await once(child, 'close')
  const [used] = watch.end()
  if (code !== 0) throw new Error(`skopeo ${args[0]} ended with code ${code}: ${errors.slice(-500)}`)
  return { cpuSeconds: used!.cpuSeconds }
}
