/** UTC epoch milliseconds: in every zone, all times before it have a year of at most four digits, which is what the wire takes. */
export const LATEST_TIME_MS = Date.UTC(9999, 11, 31)
