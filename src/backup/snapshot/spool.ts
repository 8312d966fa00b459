import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { tellingOfStorage } from '../../core/storage-trouble.ts'

/** Bytes of a run that are kept aside until its contents were copied, in a folder that nobody else may read. */
export interface Spool extends AsyncDisposable {
  /** One at a time. @throws AppError STORAGE_UNAVAILABLE when there is no room. */
  append(bytes: Uint8Array): Promise<SpoolPlace>
  read(place: SpoolPlace): Promise<Buffer>
}
export interface SpoolPlace {
  readonly offset: number
  readonly length: number
}

const OWNER_ONLY = 0o700
const OWNER_ONLY_FILE = 0o600

/** @param folder is made, and removed with all it holds when the spool is disposed. */
export async function openSpool(folder: string): Promise<Spool> {
  await rm(folder, { recursive: true, force: true })
  let opened: Promise<FileHandle> | undefined
  let end = 0
  async function make(): Promise<FileHandle> {
    await mkdir(folder, { recursive: true, mode: OWNER_ONLY })
    return open(join(folder, 'records'), 'wx+', OWNER_ONLY_FILE)
  }
  const file = () => {
    opened ??= make()
    return opened
  }
  return {
    append: (bytes) =>
      tellingOfStorage(async () => {
        const place = { offset: end, length: bytes.length }
        const handle = await file()
        for (let done = 0; done < bytes.length; ) {
          done += (await handle.write(bytes, done, bytes.length - done, end + done)).bytesWritten
        }
        end += bytes.length
        return place
      }),
    async read({ offset, length }) {
      const bytes = Buffer.allocUnsafeSlow(length)
      const handle = await file()
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done)
        if (bytesRead === 0) throw new Error('The spool of this run ends before its time')
        done += bytesRead
      }
      return bytes
    },
    async [Symbol.asyncDispose]() {
      await opened?.then(
        (handle) => handle.close(),
        () => {},
      )
      await rm(folder, { recursive: true, force: true })
    },
  }
}
