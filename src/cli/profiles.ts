import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf } from '../core/errors.ts'
import { CliFailure, EXIT } from './cli-failure.ts'

/** A server and who we are there. The token is one of the user's own; passwords are not kept. */
export interface Profile {
  readonly url: string
  readonly user: string
  readonly token: string
}

interface ProfileFile {
  /** Name of the profile that counts when none is named. */
  readonly current: string | undefined
  readonly profiles: Readonly<Record<string, Profile>>
}

/** Profiles in `~/.config/entrepot/profiles.json` (`$XDG_CONFIG_HOME`), readable by the user only. */
export interface Profiles {
  readonly file: string
  read(): Promise<ProfileFile>
  save(name: string, profile: Profile): Promise<void>
  /** @throws CliFailure when there is none of that name. */
  use(name: string): Promise<void>
  remove(name: string): Promise<void>
}

const NONE: ProfileFile = { current: undefined, profiles: {} }

export function createProfiles(env: Readonly<Record<string, string | undefined>>, home: string): Profiles {
  const file = join(env.XDG_CONFIG_HOME || join(home, '.config'), 'entrepot', 'profiles.json')

  async function read(): Promise<ProfileFile> {
    let text: string
    try {
      text = await readFile(file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NONE
      throw new CliFailure(`Cannot read ${file}: ${messageOf(error)}`, EXIT.failed)
    }
    try {
      return { ...NONE, ...(JSON.parse(text) as ProfileFile) }
    } catch {
      throw new CliFailure(`${file} is no JSON: repair or remove it, then log in again`, EXIT.failed)
    }
  }
  async function write(content: ProfileFile): Promise<void> {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const draft = `${file}.new`
    await writeFile(draft, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 })
    // The mode counts only for a file that `writeFile` makes.
    await chmod(draft, 0o600)
    await rename(draft, file)
  }
  return {
    file,
    read,
    async save(name, profile) {
      const { profiles } = await read()
      await write({ current: name, profiles: { ...profiles, [name]: profile } })
    },
    async use(name) {
      const { profiles } = await read()
      if (!Object.hasOwn(profiles, name)) throw unknownProfile(name)
      await write({ current: name, profiles })
    },
    async remove(name) {
      const { current, profiles } = await read()
      if (!Object.hasOwn(profiles, name)) throw unknownProfile(name)
      const { [name]: _gone, ...rest } = profiles
      await write({ current: current === name ? Object.keys(rest)[0] : current, profiles: rest })
    },
  }
}

export const unknownProfile = (name: string): CliFailure =>
  new CliFailure(`There is no profile ${name}: see "entrepot profile list"`, EXIT.usage)
