import { join } from 'node:path'
import type { BackupLocation } from './backup-location.ts'

/** A folder of a location as a location of its own: that it is no link is looked at as of any folder in it. */
export function locationBelow(outer: BackupLocation, folder: string): BackupLocation {
  const at = (name: string): string => `${folder}/${name}`
  const below = (prefix: string): string => (prefix === '' ? folder : at(prefix))
  return {
    path: join(outer.path, folder),
    create: (name, signal) => outer.create(at(name), signal),
    put: (name, bytes, signal) => outer.put(at(name), bytes, signal),
    putNew: (name, bytes, signal) => outer.putNew(at(name), bytes, signal),
    open: (name, signal) => outer.open(at(name), signal),
    async find(name, signal) {
      const found = await outer.find(at(name), signal)
      return found && { ...found, name }
    },
    async *list(prefix, signal) {
      for await (const object of outer.list(below(prefix), signal)) {
        yield { ...object, name: object.name.slice(folder.length + 1) }
      }
    },
    children: (prefix, signal) => outer.children(below(prefix), signal),
    delete: (name, signal) => outer.delete(at(name), signal),
    rename: (draft, name, signal) => outer.rename(at(draft), at(name), signal),
    deleteAll: (prefix, signal) => outer.deleteAll(at(prefix), signal),
    sync: (prefix, signal) => outer.sync(below(prefix), signal),
    deleteIfEmpty: (prefix, signal) => outer.deleteIfEmpty(at(prefix), signal),
  }
}
