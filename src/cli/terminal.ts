import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { CliFailure, EXIT } from './cli-failure.ts'

/** Where a command talks to people and programs: results to `out`, everything else to `err`. */
export interface Terminal {
  /** A result: as JSON for programs, as lines for people. */
  show<T>(result: T, lines: (result: T) => readonly string[]): void
  /** What happens meanwhile; not part of the result. */
  note(line: string): void
  /** Progress bars are drawn on it; undefined when nobody looks. */
  readonly screen: Writable | undefined
  /** Reads a secret from the terminal without showing it. @param instead option to advise. @throws CliFailure when there is no terminal. */
  askSecret(question: string, instead?: string): Promise<string>
  /** All of the standard input, without the line break at its end. */
  readInput(): Promise<string>
}

export interface TerminalStreams {
  readonly input: Readable & { readonly isTTY?: boolean }
  readonly out: Writable
  readonly err: Writable & { readonly isTTY?: boolean }
}

export function createTerminal({ input, out, err }: TerminalStreams, format: 'json' | 'people'): Terminal {
  return {
    show(result, lines) {
      if (format === 'json') out.write(`${JSON.stringify(result, undefined, 2)}\n`)
      else for (const line of lines(result)) out.write(`${line}\n`)
    },
    note(line) {
      if (format === 'people') err.write(`${line}\n`)
    },
    screen: err.isTTY === true && format === 'people' ? err : undefined,
    async askSecret(question, instead = '--password-stdin') {
      if (input.isTTY !== true) {
        throw new CliFailure(`There is no terminal to ask on: use ${instead}`, EXIT.usage)
      }
      err.write(question)
      // A line editor that echoes into nothing.
      const lines = createInterface({ input, output: undefined, terminal: true })
      const answer = await new Promise<string>((resolve, reject) => {
        const given = () => new CliFailure('Nothing was given', EXIT.usage)
        lines.once('close', () => reject(given()))
        // In raw mode Ctrl-C is a key: told on as the signal that it stands for, which ends the command as everywhere.
        lines.once('SIGINT', () => {
          process.once('SIGINT', () => lines.close())
          process.kill(process.pid, 'SIGINT')
        })
        lines.question('', resolve)
      }).finally(() => lines.close())
      err.write('\n')
      return answer
    },
    readInput: async () => (await text(input)).replace(/\r?\n$/, ''),
  }
}

/** Columns as wide as their widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd()
  return [line(head.map((title) => title.toUpperCase())), ...rows.map(line)]
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
/** `1536` → `1.5 KiB`. */
export function bytesText(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** unit
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

/** `k: v` lines, the values in one column. */
export function fields(about: Readonly<Record<string, unknown>>): string[] {
  const width = Math.max(...Object.keys(about).map(({ length }) => length))
  return Object.entries(about).map(([name, value]) => `${`${name}:`.padEnd(width + 2)}${valueText(value)}`)
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return '–'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
