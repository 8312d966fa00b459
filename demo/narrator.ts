import type { Terminal } from './progress.ts'

/** Something that the demo promised did not hold. The message is for people; it has no stack trace. */
export class DemoFailure extends Error {
  readonly lines: readonly string[]
  constructor(message: string, lines: readonly string[] = []) {
    super(message)
    this.name = 'DemoFailure'
    this.lines = lines
  }
}

const LINES_SHOWN = 10

export interface Narrator {
  /** Numbers the steps. */
  step(title: string): void
  say(text: string): void
  /** Prints the sentence with a tick. @throws DemoFailure when it does not hold; `lines` says why. */
  check(sentence: string, holds: boolean, lines?: readonly string[]): void
}

export function narrate(terminal: Terminal): Narrator {
  const colour = (code: number, text: string) => (terminal.isTTY ? `\u001b[${code}m${text}\u001b[0m` : text)
  const indent = (text: string) => text.replace(/^(?=.)/gm, '   ')
  let steps = 0
  return {
    step: (title) => terminal.write(`\n${colour(1, `${++steps}. ${title}`)}\n`),
    say: (text) => terminal.write(`${indent(text)}\n`),
    check(sentence, holds, lines = []) {
      terminal.write(`   ${holds ? colour(32, '✓') : colour(31, '✗')} ${sentence}\n`)
      if (!holds) throw new DemoFailure(`This did not hold: ${sentence}`, lines.slice(0, LINES_SHOWN))
    },
  }
}
