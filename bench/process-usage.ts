import { readFileSync, writeFileSync } from 'node:fs'

const SAMPLE_EVERY_MS = 100
/** Unit of the CPU times in /proc, fixed by Linux for user space. */
const TICKS_PER_SECOND = 100
/** Written to /proc/<pid>/clear_refs: forget the peak of the resident memory. */
const RESET_PEAK = '5'

export interface Usage {
  readonly peakRssBytes: number
  readonly cpuSeconds: number
}

/** How long some work took, and what both servers used in it. */
export interface Measured {
  readonly ms: number
  readonly a: Usage
  readonly b: Usage
}

/** Watches processes by pid. On a system without /proc all numbers are 0. */
export interface UsageWatch {
  /** What each process used since the watch began, in the order of the pids. A process that has ended: to its last sample. */
  end(): Usage[]
  /** Samples no more; harmless after `end`. */
  stop(): void
}

export function watchUsage(pids: readonly number[]): UsageWatch {
  const begin = pids.map(cpuSecondsOf)
  const cpu = [...begin]
  // Where the kernel forgets the peak, it tells the one since now exactly; elsewhere samples do.
  const exact = pids.map(resetPeak)
  const peaks = pids.map(() => 0)
  const sample = () => {
    for (const [index, pid] of pids.entries()) {
      const rss = memoryOf(pid, exact[index] ? 'VmHWM' : 'VmRSS')
      peaks[index] = Math.max(peaks[index]!, rss)
      cpu[index] = Math.max(cpu[index]!, cpuSecondsOf(pid))
    }
  }
  sample()
  const timer = setInterval(sample, SAMPLE_EVERY_MS)
  return {
    stop: () => clearInterval(timer),
    end() {
      clearInterval(timer)
      sample()
      return pids.map((_, index) => ({ peakRssBytes: peaks[index]!, cpuSeconds: cpu[index]! - begin[index]! }))
    },
  }
}

function resetPeak(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, RESET_PEAK)
    return true
  } catch {
    return false
  }
}

function memoryOf(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(readProc(pid, 'status'))?.[1] ?? 0) * 1024
}

/** User and system time of all threads: fields 14 and 15 of /proc/<pid>/stat; the name before them may hold spaces. */
function cpuSecondsOf(pid: number): number {
  const stat = readProc(pid, 'stat')
  const [user = '0', system = '0'] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
  return (Number(user) + Number(system)) / TICKS_PER_SECOND
}

function readProc(pid: number, name: 'status' | 'stat'): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return ''
  }
}
