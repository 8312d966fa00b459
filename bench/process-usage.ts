import { readFileSync } from 'node:fs'

const SAMPLE_EVERY_MS = 100
/** Unit of the CPU times in /proc, fixed by Linux for user space. */
const TICKS_PER_SECOND = 100

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
  /** What each process used since the watch began, in the order of the pids. */
  end(): Usage[]
}

export function watchUsage(pids: readonly number[]): UsageWatch {
  const begin = pids.map(cpuSecondsOf)
  const peaks = pids.map(rssBytesOf)
  const sample = () => {
    for (const [index, pid] of pids.entries()) peaks[index] = Math.max(peaks[index] ?? 0, rssBytesOf(pid))
  }
  const timer = setInterval(sample, SAMPLE_EVERY_MS)
  return {
    end() {
      clearInterval(timer)
      sample()
      return pids.map((pid, index) => ({
        peakRssBytes: peaks[index] ?? 0,
        cpuSeconds: cpuSecondsOf(pid) - (begin[index] ?? 0),
      }))
    },
  }
}

function rssBytesOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readProc(pid, 'status'))?.[1] ?? 0) * 1024
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
