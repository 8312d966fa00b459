import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { measuredProgram } from '../measured-program.ts'
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

const skopeo = (args: readonly string[]) => measuredProgram('skopeo', [...QUIET, ...args])
