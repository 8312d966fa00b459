/** Exit codes of the command line (docs/cli.md). */
export const EXIT = {
  ok: 0,
  /** The server refused, or found something wrong. */
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** Nobody answers at the address, or what answers is no Entrepot. */
  unreachable: 3,
  /** Not logged in, or not allowed. */
  denied: 4,
  /** What was named does not exist. */
  notFound: 5,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Ends a command with a message for people. */
export class CliFailure extends Error {
  readonly exitCode: ExitCode
  /** The contract's code, when the server refused. */
  readonly code: number | undefined
  constructor(message: string, exitCode: ExitCode, code?: number) {
    super(message)
    this.name = 'CliFailure'
    this.exitCode = exitCode
    this.code = code
  }
}
