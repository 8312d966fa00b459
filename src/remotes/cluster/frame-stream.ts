import type {
  ContentFrame,
  DeleteFrame,
  EntryFrame,
  ItemException,
  MetadataFrame,
  VersionFrame,
} from './frames/frame.ts'

export type OutgoingItem =
  | Omit<EntryFrame, 'item'>
  | Omit<DeleteFrame, 'item'>
  | Omit<MetadataFrame, 'item'>
  | Omit<VersionFrame, 'item'>
  | Omit<ContentFrame, 'item'>

/** What became of one item; `written` where the acknowledgement lists no exception. */
export type ItemOutcome = Pick<ItemException, 'reason' | 'remote'> & {
  readonly result: 'written' | ItemException['result']
}

export interface StreamProgress {
  /** Bytes of contents that were handed to the connection. */
  sent(count: number): void
  /** The target wrote something that was not there before: an outage before it is over. Items found there already are no progress. */
  acknowledged(): void
}

/**
 * One stream of one link: items go out in the order of the calls, answers come back as the target commits. Several sends may be
 * under way at once; each resolves when all of its items are acknowledged. Memory is bounded by the credit that the target gives.
 */
export interface FrameStream extends AsyncDisposable {
  /**
   * @returns outcomes in the order of the items.
   * @throws LinkDown when the connection broke or stayed silent; RemoteRefusal when the target refused the stream (250350: fenced);
   * NotOurProtocol. All sends under way fail then, and the stream is of no use any more.
   */
  send(items: readonly OutgoingItem[]): Promise<ItemOutcome[]>
  /** Nothing more comes for now: the target settles what was sent at once, instead of waiting whether more comes. */
  flush(): void
  /** Says that nothing follows, waits for what is under way and closes. */
  end(): Promise<void>
}
