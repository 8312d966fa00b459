import { Transform } from 'node:stream'
import { Presets, SingleBar } from 'cli-progress'
import { bytesText, type Terminal } from './terminal.ts'

/** A bar that shows how much of a known sum is done; nothing is drawn where nobody looks. */
export interface ProgressBar {
  advance(by: number): void
  end(): void
}

export function progressBar(terminal: Terminal, title: string, total: number, unit: 'bytes' | 'files'): ProgressBar {
  if (terminal.screen === undefined) return { advance: () => {}, end: () => {} }
  const value = unit === 'bytes' ? bytesText : String
  const bar = new SingleBar(
    {
      stream: terminal.screen as NodeJS.WritableStream,
      hideCursor: true,
      format: `${title} {bar} {percentage}% {amount} of ${value(total)}, {eta_formatted} left`,
    },
    Presets.shades_classic,
  )
  let done = 0
  bar.start(total, 0, { amount: value(0) })
  return {
    advance(by) {
      done += by
      bar.update(done, { amount: value(done) })
    },
    end: () => bar.stop(),
  }
}

/** Passes bytes on and tells how many. */
export const counting = (onBytes: (count: number) => void): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, done) {
      onBytes(chunk.length)
      done(undefined, chunk)
    },
  })
