/** Limits bytes per second. */
export interface Pace {
  /** Waits until so many may go; undefined: at once. @throws the signal's reason. */
  take(bytes: number, signal: AbortSignal): Promise<void> | undefined
}
