import { type Bell, createBell } from './bell.ts'

/** Wakes the one who leads a piece of work, who also hears of the first failure of anything that was begun for it. */
export interface AlarmBell extends Bell {
  /** Until somebody rings. @throws as `check`. */
  wait(): Promise<void>
  /** Only the first failure counts. */
  fail(error: unknown): void
  readonly hasFailed: boolean
  /** @throws the signal's reason; what `fail` was told. */
  check(): void
}

export function createAlarmBell(signal: AbortSignal): AlarmBell {
  const bell = createBell()
  let failure: { readonly error: unknown } | undefined
  function check(): void {
    signal.throwIfAborted()
    if (failure !== undefined) throw failure.error
  }
  return {
    ring: bell.ring,
    check,
    async wait() {
      await bell.wait()
      check()
    },
    fail(error) {
      failure ??= { error }
      bell.ring()
    },
    get hasFailed() {
      return failure !== undefined
    },
  }
}
