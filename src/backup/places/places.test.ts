import assert from 'node:assert/strict'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { type TempDir, tempDir } from '../../../test/helpers/temp.ts'
import { createPlaces } from './places.ts'

const REFUSED = { code: 'PARAMETER_INVALID', detail: { name: 'storeLocation' } }

async function prepared(dir: TempDir) {
  for (const name of ['root/run', 'other', 'outside']) await mkdir(dir.file(name), { recursive: true })
  const roots = [dir.file('root'), dir.file('other'), dir.file('not-there-yet')]
  return createPlaces({ rules: 'posix', roots, map: [{ from: 'F:\\', to: dir.file('other') }] })
}

it('given places inside a root, when they are resolved, then they are absolute, there or not, and nothing is made', async () => {
  await using dir = await tempDir()
  const places = await prepared(dir)
  for (const [location, path] of [
    ['run', 'root/run'],
    ['new/deep', 'root/new/deep'],
    [dir.file('other'), 'other'],
    [dir.file('not-there-yet/x'), 'not-there-yet/x'],
    ['F:\\backuptest', 'other/backuptest'],
  ] as const) {
    assert.equal(await places.resolve(location), dir.file(path), location)
  }
  assert.deepEqual((await readdir(dir.path)).sort(), ['other', 'outside', 'root'])
})

it('case 6: given places outside of all roots, when they are resolved, then they are refused', async () => {
  await using dir = await tempDir()
  const places = await prepared(dir)
  for (const location of [
    '/etc',
    dir.path,
    dir.file('outside'),
    dir.file('rootless'),
    'G:\\x',
    '..',
    'run/../../outside',
  ])
    await assert.rejects(places.resolve(location), REFUSED, location)
})

it('case 6: given links, when they leave the roots or lead nowhere, then they are refused; inside they are followed', async () => {
  await using dir = await tempDir()
  const places = await prepared(dir)
  await symlink(dir.file('outside'), dir.file('root/leaving'))
  await symlink(dir.file('root/run'), dir.file('root/staying'))
  await symlink(dir.file('outside/absent'), dir.file('root/dangling'))
  await symlink(dir.file('root/circle'), dir.file('root/circle'))
  await symlink(dir.file('other'), dir.file('linked-root'))
  for (const location of ['leaving', 'leaving/new', 'dangling', 'dangling/new', 'circle'])
    await assert.rejects(places.resolve(location), REFUSED, location)
  assert.equal(await places.resolve('staying/x'), dir.file('root/run/x'))
  const linked = createPlaces({ rules: 'posix', roots: [dir.file('linked-root')], map: [] })
  assert.equal(await linked.resolve('x'), dir.file('other/x'))
})

it('given what is to be read, when it is not there or no backup has such a file, then it is refused', async () => {
  await using dir = await tempDir()
  const places = await prepared(dir)
  await writeFile(dir.file('root/a.ZIP'), '')
  await writeFile(dir.file('root/a.tar'), '')
  await mkdir(dir.file('root/repo/snapshots'), { recursive: true })
  await writeFile(dir.file('root/repo/snapshots/n'), '')
  for (const location of ['run', 'a.ZIP', 'repo/snapshots/n'])
    assert.equal(await places.resolveExisting(location), join(dir.file('root'), location))
  for (const location of ['absent', 'a.tar', 'a.ZIP/inside']) {
    await assert.rejects(places.resolveExisting(location), REFUSED, location)
  }
})

it('given a plain file, when backups shall be written there, then it is refused, and a folder that will be made is not', async () => {
  await using dir = await tempDir()
  const places = await prepared(dir)
  await writeFile(dir.file('root/plain'), '')
  await assert.rejects(places.resolveTarget('plain'), { ...REFUSED, message: /a file is there/ })
  assert.equal(await places.resolveTarget('later'), dir.file('root/later'))
})

it('given a folder, when it is to be restored, then it needs a manifest, unless it is of the reference', async () => {
  await using dir = await tempDir()
  const places = await prepared(dir)
  await writeFile(dir.file('root/a.zip'), '')
  await assert.rejects(places.resolveRun('run', 'whole'), REFUSED)
  assert.equal(await places.resolveRun('run', 'legacy'), dir.file('root/run'))
  assert.equal(await places.resolveRun('a.zip', 'whole'), dir.file('root/a.zip'))
  await writeFile(dir.file('root/run/manifest.json'), '{}')
  assert.equal(await places.resolveRun('run', 'whole'), dir.file('root/run'))
})

it('given places in a run, a draft or a repository, when backups are to go there, then they are refused; other places stay', async () => {
  await using dir = await tempDir()
  const places = await prepared(dir)
  for (const folder of [
    'n/20260101.000000',
    'n/legacy/bk+store',
    'n/x.partial',
    'repo',
    'copy/snapshots',
    'fine/snapshots',
  ])
    await mkdir(dir.file('root', folder), { recursive: true })
  for (const file of ['n/20260101.000000/manifest.json', 'repo/config', 'copy/config'])
    await writeFile(dir.file('root', file), '')
  // Above the root, everything is somebody else's.
  await writeFile(dir.file('manifest.json'), '')
  const inside = [
    'n/20260101.000000',
    'n/20260101.000000/deep/er',
    'n/legacy/x',
    'n/x.partial/x',
    'repo',
    'repo/x',
    'copy/x',
  ]
  for (const location of inside) await assert.rejects(places.resolveTarget(location), REFUSED, location)
  for (const location of ['.', 'n', 'n/other', 'fine', 'new/repo'])
    assert.equal(await places.resolveTarget(location), join(dir.file('root'), location), location)
})
