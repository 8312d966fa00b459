import { AppError } from '../../../core/errors.ts'

/** Of requests and answers of a stream. */
export const FRAMES_MEDIA_TYPE = 'application/vnd.entrepot.frames'
/** Of one frame without the inline content of an ENTRY or CONTENT; larger ones are refused by their length, before memory is taken. */
export const FRAME_BYTES = 1024 * 1024
/** `u8 type | u8 flags | u32 item`: what the length counts besides the payload. */
export const HEADER_BYTES = 6
/** The length itself and the header. */
export const PREFIX_BYTES = 4 + HEADER_BYTES
/** Bytes of the frames 1 to 5 that may be sent before the target gave credit for more; the last one may overdraw it. */
export const FIRST_CREDIT_BYTES = 8 * 1024 * 1024
/** Frames of a bundle: more than 256 KiB of the smallest items, which is what a source packs. */
export const MAX_BUNDLE_FRAMES = 8_192
/** Of the frames about no item, in what arrived at once and in a bundle: they are small, and each may ask for an answer. */
export const MAX_WITHOUT_ITEM = 256
/** Frames are read in slices of at most so many, a millisecond of work. */
export const SLICE_FRAMES = 256
/** Of the frames in one request of the bounded mode. */
export const BOUNDED_REQUEST_BYTES = 8 * 1024 * 1024

/** Twice what `core/paths.ts` lets through would still be refused there by name. */
export const MAX_PATH_BYTES = 8_192
/** Ids, user names, versions, package keys. */
export const MAX_NAME_BYTES = 4_096
/** Twice what `checkMetadata` lets through. */
export const MAX_JSON_BYTES = 131_072
/** Of a VERSION's document, unpacked: 10,000 files with all that is said of them. */
export const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
export const MAX_REASON_BYTES = 4_096
export const MAX_VIA = 64
export const MAX_VERSION_FILES = 10_000
export const MAX_EXCEPTIONS = 10_000

/** A frame that is not what it should be. Bytes may break on their way, so the source sends them again. */
export const broken = (why: string): AppError => new AppError('ARTIFACT_BROKEN', `The stream is broken: ${why}`, {})
