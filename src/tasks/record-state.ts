import type { RunStatus } from './task.ts'

/** `finish`: every target got everything; `fail`: at least one artifact or target did not; `lease-lost`: a worker went away. */
export type RecordEvent = 'finish' | 'fail' | 'lease-lost'

/** Contract 002, field `status`. A closed record never changes again, whatever a late worker says. */
export const NEXT: Readonly<Record<RunStatus, Readonly<Record<RecordEvent, RunStatus | 'ignore'>>>> = {
  RUNNING: { finish: 'SUCCESS', fail: 'FAILED', 'lease-lost': 'RUNNING' },
  SUCCESS: { finish: 'ignore', fail: 'ignore', 'lease-lost': 'ignore' },
  FAILED: { finish: 'ignore', fail: 'ignore', 'lease-lost': 'ignore' },
}
