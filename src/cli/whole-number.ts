import { InvalidArgumentError } from 'commander'

/** For options that take a number. @throws InvalidArgumentError, which commander tells the user. */
export function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number.')
  return value
}
