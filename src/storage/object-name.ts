import { AppError } from '../core/errors.ts'

const NAME = /^[A-Za-z0-9._+-]+(?:\/[A-Za-z0-9._+-]+)*$/
const LONGEST_SEGMENT = 255
const LONGEST_NAME = 1_024
const DRAFT = '.partial'

/** A name that an object of a backup location may have (`backup-location.ts`). */
export function isObjectName(name: string): boolean {
  if (name.length > LONGEST_NAME || !NAME.test(name)) return false
  return name
    .split('/')
    .every((segment) => segment !== '.' && segment !== '..' && segment.length <= LONGEST_SEGMENT - DRAFT.length)
}

/** @throws AppError PATH_INVALID. */
export function checkObjectName(name: string): void {
  if (isObjectName(name)) return
  throw new AppError('PATH_INVALID', `[${shown(name)}] is no name of an object of a backup`, {})
}

export const isDraftName = (name: string): boolean => name.endsWith(DRAFT)
/** @param attempt from 0: of several drafts at the same time. */
export const draftNameOf = (name: string, attempt = 0): string => `${name}${attempt === 0 ? '' : `.${attempt}`}${DRAFT}`
/** Whether one of the folders above it is a draft. */
export const isInDraft = (name: string): boolean => name.includes(`${DRAFT}/`)

/** A name from elsewhere, fit for a message. */
export const shown = (name: string): string =>
  name
    .slice(0, 120)
    .toWellFormed()
    .replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd')
