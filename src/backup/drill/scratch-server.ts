/** A server of our kind, empty, for one drill: its data is gone when it is disposed, and it ends when this process does. */
export interface ScratchServer extends AsyncDisposable {
  /** On loopback. */
  readonly url: string
  /** Of its administrator: value of the header. */
  readonly authorization: string
}

/**
 * @param folder of its own, made and removed by the server.
 * @param roots where it may read backups.
 */
export type StartScratchServer = (
  folder: string,
  roots: readonly string[],
  signal: AbortSignal,
) => Promise<ScratchServer>
