const BAR_CELLS = 20
const TTY_EVERY_MS = 100
const PLAIN_EVERY_MS = 1_000

export interface Progress {
  readonly doneFiles: number
  readonly totalFiles: number
  readonly doneBytes: number
  readonly totalBytes: number
}

/** `[██████░░░░] 310/607 files  180.4/345.0 MB  92.1 MB/s  ETA 2 s`. */
export function progressLine(progress: Progress, elapsedMs: number): string {
  const { doneFiles, totalFiles, doneBytes, totalBytes } = progress
  const share = totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes)
  const cells = Math.floor(share * BAR_CELLS)
  const rate = elapsedMs <= 0 ? 0 : doneBytes / (elapsedMs / 1000)
  const leftMs = rate === 0 ? undefined : ((totalBytes - doneBytes) / rate) * 1000
  return [
    `[${'█'.repeat(cells)}${'░'.repeat(BAR_CELLS - cells)}]`,
    `${doneFiles}/${totalFiles} files`,
    `${megabytes(doneBytes)}/${megabytes(totalBytes)} MB`,
    `${megabytes(rate)} MB/s`,
    `ETA ${leftMs === undefined ? '?' : Math.max(0, Math.ceil(leftMs / 1000))} s`,
  ].join('  ')
}

export const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)

export interface Terminal {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  write(text: string): unknown
}

export interface ProgressView {
  show(progress: Progress): void
  /** Draws the last state for good. */
  finish(progress: Progress): void
}

/** Redraws one line on a terminal; elsewhere writes a plain line once a second. `now`: milliseconds of any monotonic clock. */
export function progressView(terminal: Terminal, now: () => number): ProgressView {
  const startMs = now()
  const everyMs = terminal.isTTY ? TTY_EVERY_MS : PLAIN_EVERY_MS
  let drawnMs = startMs
  const draw = (progress: Progress, ending: string) => {
    const line = `   ${progressLine(progress, now() - startMs)}`
    if (terminal.isTTY) terminal.write(`\r\u001b[K${line.slice(0, (terminal.columns ?? 120) - 1)}${ending}`)
    else terminal.write(`${line}\n`)
  }
  return {
    show(progress) {
      if (now() - drawnMs < everyMs) return
      drawnMs = now()
      draw(progress, '')
    },
    finish: (progress) => draw(progress, '\n'),
  }
}
