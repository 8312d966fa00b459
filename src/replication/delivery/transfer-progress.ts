/** Hears of what goes out. */
export interface TransferProgress {
  /** Bytes of contents handed to the connection. */
  sent(count: number): void
  /** The target has something durably: an outage before it is over. */
  stored(): void
}
