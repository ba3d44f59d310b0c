/** How near this process is to its limit of open files. */
import { closeSync, openSync, readFileSync } from 'node:fs'

/** The limit may be changed from outside (prlimit), but not for every packet. */
const KEPT_MS = 1000

let limit = Number.POSITIVE_INFINITY
let readAt = Number.NEGATIVE_INFINITY

/** Whether so many descriptors can still be opened. True where the system does not tell of a limit. */
export function hasSpareDescriptors(count: number): boolean {
  if (performance.now() - readAt >= KEPT_MS) readLimit()
  if (limit === Number.POSITIVE_INFINITY) return true
  try {
    // The system gives the lowest free number: all below it are in use.
    const lowest = openSync('/dev/null', 'r')
    closeSync(lowest)
    if (lowest + count <= limit) return true
    // It may have been raised just now, and a refusal ought to be right.
    readLimit()
    return lowest + count <= limit
  } catch {
    return false
  }
}

/** Linux. Node itself can only tell with a whole diagnostic report. */
function readLimit(): void {
  readAt = performance.now()
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    limit = soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    // Another system, or no descriptor to read it with: it stays as it is.
  }
}
