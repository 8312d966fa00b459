import type { LoggerOptions } from 'pino'

const SECRET_FIELDS = [
  'authorization',
  'password',
  'pwd',
  'oldPwd',
  'newPwd',
  'token',
  'secret',
  'secretKey',
  'certificate',
  'cookie',
]

/**
 * Options of the process's logger. Bodies and headers are not logged in the first place; what slips into an object that is, under
 * one of these names and up to two levels down, is masked. Errors keep message, stack and cause.
 */
export function logOptions(level: string): LoggerOptions {
  const paths = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])
  return { level, redact: { paths, censor: '******' } }
}
