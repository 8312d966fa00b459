import { constants } from 'node:fs'
import { access, chmod, mkdir, mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What the test files of one run share, and where their temporary files are; gone when it ends. */
export interface RunFolder extends AsyncDisposable {
  /** For the processes of the run. */
  readonly env: Readonly<Record<string, string>>
}

const MEMORY = '/dev/shm'
/** Far above what the tests have at the same time. */
const ENOUGH_BYTES = 4 * 1024 ** 3

/**
 * @param place `disk`: where temporary files are on this machine. `memory`: in a file system in memory, where the machine has enough of it
 * and `TMPDIR` names no other place: durable writes, of which every test makes dozens, wait for no disk there.
 */
export async function makeRunFolder(place: 'disk' | 'memory'): Promise<RunFolder> {
  const parent = place === 'memory' && process.env.TMPDIR === undefined && (await hasMemory()) ? MEMORY : tmpdir()
  const path = await mkdtemp(join(parent, 'entrepot-tests-'))
  // A PostgreSQL that a test starts for itself runs as another user below it.
  await chmod(path, 0o711)
  const [templates, compiled] = [join(path, 'templates'), join(path, 'compiled')]
  await mkdir(templates)
  return {
    // Each of 240 processes loads most of the program: what one has compiled serves the others.
    env: { TMPDIR: path, ENTREPOT_TEST_TEMPLATES: templates, NODE_COMPILE_CACHE: compiled },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  }
}

async function hasMemory(): Promise<boolean> {
  try {
    await access(MEMORY, constants.W_OK)
    const { bavail, bsize } = await statfs(MEMORY)
    return Math.min(bavail * bsize, process.availableMemory()) >= ENOUGH_BYTES
  } catch {
    return false
  }
}
