/** proc(5): processor time and memory of a server with all its processes. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** USER_HZ, which is 100 on all Linux systems. */
const TICKS_PER_SECOND = 100
const SAMPLE_MILLISECONDS = 50
/** Looking at many processes takes long, and must not slow down clients in this process: at most a twentieth of the time. */
const PAUSE_FACTOR = 20
const KIBIBYTE = 1024
/** proc(5), clear_refs: 5 sets the peak of resident memory back to what is resident now. */
const RESET_PEAK = '5'

/** Fields of /proc/PID/stat, counted from the state that follows the command's name. */
const Field = {
  parent: 1,
  userTime: 11,
  systemTime: 12,
  childrenUserTime: 13,
  childrenSystemTime: 14,
} as const

function stat(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}

/** A process and all that it has started, as they are now. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const parent = Number.isInteger(pid) ? Number(stat(pid)?.[Field.parent]) : Number.NaN
    if (!Number.isNaN(parent)) children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const tree = [root]
  for (const pid of tree) tree.push(...(children.get(pid) ?? []))
  return tree
}

/** Seconds of processor time that a tree has used, with that of processes that have ended and were waited for. */
export function processorSeconds(root: number): number {
  const counted = [Field.userTime, Field.systemTime, Field.childrenUserTime, Field.childrenSystemTime]
  let ticks = 0
  for (const pid of processTree(root)) {
    const fields = stat(pid)
    for (const field of counted) ticks += Number(fields?.[field] ?? 0)
  }
  return ticks / TICKS_PER_SECOND
}

/** Peaks are counted from now on. */
export function resetPeak(root: number): void {
  for (const pid of processTree(root)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, RESET_PEAK)
    } catch {
      // It has ended; or it belongs to somebody else, and its peak is that since its start.
    }
  }
}

/** The sum of the peaks (VmHWM) of the processes that are there now, in bytes. Pages that they share are counted for each. */
function peakBytes(root: number): number {
  let total = 0
  for (const pid of processTree(root)) {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '')
    total += Number(line?.[1] ?? 0) * KIBIBYTE
  }
  return total
}

/**
 * What a server has in memory now, in bytes: the proportional set sizes (smaps_rollup, Pss) of its processes, so that
 * what several of them share counts once.
 */
export function residentBytes(root: number): number {
  let total = 0
  for (const pid of processTree(root)) {
    const line = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '')
    total += Number(line?.[1] ?? 0) * KIBIBYTE
  }
  return total
}

/** Looks at a server's memory while `work` goes on: a process for each connection ends with it. */
export async function watchPeak<T>(
  root: number,
  work: () => Promise<T>,
): Promise<{ result: T; peakBytes: number }> {
  let peak = peakBytes(root)
  let timer: NodeJS.Timeout
  const sample = () => {
    const started = performance.now()
    peak = Math.max(peak, peakBytes(root))
    const pause = Math.max(SAMPLE_MILLISECONDS, (performance.now() - started) * PAUSE_FACTOR)
    timer = setTimeout(sample, pause)
  }
  timer = setTimeout(sample, SAMPLE_MILLISECONDS)
  try {
    const result = await work()
    peak = Math.max(peak, peakBytes(root))
    return { result, peakBytes: peak }
  } finally {
    clearTimeout(timer)
  }
}
