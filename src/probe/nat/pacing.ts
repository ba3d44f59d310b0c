/**
 * When to send again, and how long silence must last. RFC 8489 §6.2.1 starts at RTO = 500 ms and ends after
 * 39.5 s; this schedule departs from it on purpose, because a verdict on filtering *is* a measured silence
 * and the user waits for it: we repeat the same transaction quickly, bounded in number, paced by the RTT
 * that the first answers show. RFC 5780 §4.5 permits the tests in parallel, and its limit on *new*
 * transactions is kept by TransactionBudget.
 */

/** What the answers so far say about the way to the server. */
export interface PathEstimate {
  readonly minRttMs: number
  readonly maxRttMs: number
}

/**
 * Milliseconds after the first transmission for the further ones while no server has answered at all. Dense
 * enough that 20 % loss each way can't hide a live server, and over by 1.2 s so that a black hole is known
 * for one within 2 s.
 */
export const blindScheduleMs: readonly number[] = [0, 60, 130, 220, 340, 500, 700, 950, 1200]

/** A network that has not answered by now is taken for silent; the last request above had 400 ms to be answered. */
export const silenceMs = 1600

/** After this much silence the servers are also tried over TCP, so that "UDP blocked" can be told from "no network". */
export const streamCheckAfterMs = 300

/** Time for those: a TCP connect has its own SYN retransmission after 1 s. */
export const streamCheckTimeoutMs = 1250

/** How long a public server that has not answered holds up a verdict to which it isn't needed. */
export const stragglerMs = (path: PathEstimate): number => Math.max(400, 2.5 * path.maxRttMs)

/** The same for a server that the user named: a live one must not be called dead because others are nearer. */
export const namedStragglerMs = (path: PathEstimate): number => Math.max(1000, 2.5 * path.maxRttMs)

/** An address that answers nothing for so long, while the server's other one does, is taken for dead. */
export const deadAfterMs = 1000

/** Rounds of loss control: few RTTs, but never a burst (12 ms) and never slower than a person notices (40 ms). */
export const roundMs = (path: PathEstimate): number => Math.min(40, Math.max(12, path.minRttMs / 2))

/** An answer is not expected any more after this. The jitter margin is 30 % of the slowest answer seen. */
export const horizonMs = (path: PathEstimate): number => Math.min(1.3 * path.maxRttMs, 3 * path.minRttMs) + 20

/** Between repeats of a request that needs just one answer. */
export const retransmitMs = (path: PathEstimate): number => Math.min(1.15 * path.maxRttMs, 2.5 * path.minRttMs) + 8

/**
 * Silence means "filtered" when the probability that loss alone explains it falls below this. With every
 * control answered that takes twelve rounds: E[q^12] = 1/C(24,12) under a uniform prior for the loss q.
 */
export const acceptedDoubt = 1e-6

/**
 * The same for loss on the way from the alternate address alone, which is rare enough to ask less: six answers
 * from there without a loss rule it out (1/C(18,6) = 0.005 %).
 */
export const acceptedFarDoubt = 1e-4

/** At 20 % loss each way some twenty rounds decide; where this many don't, more would not either. */
export const mostRounds = 64
