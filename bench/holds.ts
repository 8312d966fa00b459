/** Watches this thread until `end`, which gives the longest time in which it did nothing else, ms. */
export function watchHolds() {
  let longest = 0
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last - 1)
    last = now
  }, 1)
  return {
    end() {
      clearInterval(timer)
      return longest
    },
  }
}
