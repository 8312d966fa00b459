import { AppError } from '../../core/errors.ts'
import type { LayoutKind, Layouts, WriterRequest } from './layouts.ts'

/** @param kinds each asked in this order whether what lies at a path is its own. */
export function createLayouts(kinds: Readonly<Record<WriterRequest['layout'], LayoutKind>>): Layouts {
  const inOrder = [kinds.REPOSITORY, kinds.ZIP, kinds.FOLDER]
  return {
    openWriter: (request, signal) => kinds[request.layout].openWriter(request, signal),
    async openReader(path, takes, signal) {
      for (const kind of inOrder) {
        const reader = await kind.openReader(path, takes, signal)
        if (reader !== undefined) return reader
      }
      const what = 'it is not there, or is neither a folder nor a zip nor a snapshot of a repository'
      throw new AppError('ARTIFACT_BROKEN', `[${path}] is no backup: ${what}`, {})
    },
    async isRun(path, signal) {
      for (const kind of inOrder) if (await kind.isRun(path, signal)) return true
      return false
    },
    sweep: (request, signal) => kinds[request.layout].sweep(request, signal),
    async list(place, name, signal) {
      const runs = await Promise.all(inOrder.map((kind) => kind.list(place, name, signal)))
      return runs.flat().sort((a, b) => b.startedAt - a.startedAt || (a.path < b.path ? 1 : -1))
    },
    async incomplete(place, name, signal) {
      return (await Promise.all(inOrder.map((kind) => kind.incomplete(place, name, signal)))).flat()
    },
    remove: (run, signal) => kinds[run.layout].remove(run, signal),
  }
}
