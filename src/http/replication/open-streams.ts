import { AppError } from '../../core/errors.ts'

/** How many streams each user holds open: each may hold several MiB, and a source needs a few. */
export interface OpenStreams {
  /** One more, until it is disposed. @throws AppError TOO_MANY_REQUESTS. */
  enter(userId: string): Disposable
}

export function createOpenStreams(most: number): OpenStreams {
  const counts = new Map<string, number>()
  return {
    enter(userId) {
      const before = counts.get(userId) ?? 0
      if (before >= most) {
        throw new AppError(
          'TOO_MANY_REQUESTS',
          `User [${userId}] has ${most} streams open, try again later`,
          {},
          { retryable: true },
        )
      }
      counts.set(userId, before + 1)
      return {
        [Symbol.dispose]() {
          const left = counts.get(userId)! - 1
          if (left === 0) counts.delete(userId)
          else counts.set(userId, left)
        },
      }
    },
  }
}
