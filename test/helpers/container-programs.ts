import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const LONGEST_OUTPUT_BYTES = 16 * 1024 * 1024

export type ContainerProgram = 'skopeo' | 'podman' | 'buildah'
const DEBUG: Readonly<Record<ContainerProgram, readonly string[]>> = {
  skopeo: ['--debug'],
  podman: ['--log-level', 'debug'],
  buildah: ['--log-level', 'debug'],
}

export interface RunningProgram {
  /** Rejects with what the program said. */
  readonly ended: Promise<unknown>
  hasEnded(): boolean
  /** Stands still until it is let go on. */
  halt(): void
  goOn(): void
}

/** skopeo, podman and buildah with images, logins and settings of their own, apart from those of the machine. */
export interface ContainerPrograms {
  /** Standard output. @throws Error with what the program said. */
  run(program: ContainerProgram, ...args: readonly string[]): Promise<string>
  /** What a program says besides its result, in all detail. */
  debug(program: ContainerProgram, ...args: readonly string[]): Promise<string>
  begin(program: ContainerProgram, ...args: readonly string[]): RunningProgram
  /** Where logins are kept. */
  readonly loginsFile: string
  /** What a program says that must fail. */
  refused(program: ContainerProgram, ...args: readonly string[]): Promise<string>
}

/**
 * They run as root in a container without user namespaces and mounts: images are kept as plain folders (`vfs`), and commands of a
 * build run in a chroot.
 * @param registries `127.0.0.1:20123`, spoken to by plain HTTP.
 */
export async function containerPrograms(folder: string, registries: readonly string[]): Promise<ContainerPrograms> {
  const own = (name: string) => join(folder, name)
  for (const name of ['.config/containers', 'runtime', 'tmp']) await mkdir(own(name), { recursive: true })
  await writeFile(
    own('storage.conf'),
    `[storage]\ndriver="vfs"\ngraphroot="${own('images')}"\nrunroot="${own('run')}"\n`,
  )
  await writeFile(
    own('containers.conf'),
    `[engine]\ncgroup_manager="cgroupfs"\nevents_logger="none"\ntmp_dir="${own('podman')}"\n`,
  )
  const insecure = registries.map((registry) => `[[registry]]\nlocation="${registry}"\ninsecure=true\n`)
  await writeFile(own('.config/containers/registries.conf'), insecure.join(''))
  const env = {
    ...process.env,
    ...{ HOME: folder, XDG_RUNTIME_DIR: own('runtime'), TMPDIR: own('tmp') },
    ...{ CONTAINERS_STORAGE_CONF: own('storage.conf'), CONTAINERS_CONF: own('containers.conf') },
    ...{ BUILDAH_ISOLATION: 'chroot', LC_ALL: 'C' },
  }
  const call = (program: ContainerProgram, args: readonly string[]) =>
    run(program, [...args], { env, maxBuffer: LONGEST_OUTPUT_BYTES })
  return {
    loginsFile: own('runtime/containers/auth.json'),
    run: async (program, ...args) => (await call(program, args)).stdout,
    begin(program, ...args) {
      const ended = call(program, args)
      const { child } = ended
      ended.catch(() => {})
      return {
        ended,
        hasEnded: () => child.exitCode !== null || child.signalCode !== null,
        halt: () => void child.kill('SIGSTOP'),
        goOn: () => void child.kill('SIGCONT'),
      }
    },
    debug: async (program, ...args) => (await call(program, [...DEBUG[program], ...args])).stderr,
    async refused(program, ...args) {
      const said = await call(program, args).then(
        () => undefined,
        ({ stderr }: { stderr: string }) => stderr,
      )
      if (said === undefined) throw new Error(`${program} ${args.join(' ')} was expected to fail`)
      return said
    },
  }
}
