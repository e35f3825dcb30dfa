// Reconnect back-off: doubling waits with jitter, so that many viewers don't return in step. Pure.

/** First wait after a loss; short, because most losses are a restart of one role. */
export const FIRST_WAIT_MS = 500
/** Longest wait; a person in front of a wall display should not wait longer for a recorder that is back. */
export const LONGEST_WAIT_MS = 8_000

/** The wait before attempt `attempt` (0 = the first one after a loss); `random` in 0..1 spreads it over ±25 %. */
export function waitMs(attempt: number, random: number): number {
  const doublings = Math.min(Math.max(attempt, 0), 16)
  const base = Math.min(FIRST_WAIT_MS * 2 ** doublings, LONGEST_WAIT_MS)
  return Math.round(base * (0.75 + 0.5 * random))
}

/** Counts attempts; a success resets it. */
export class Backoff {
  #attempt = 0
  readonly #random: () => number

  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** The wait before the next attempt. */
  next(): number {
    return waitMs(this.#attempt++, this.#random())
  }

  /** How many attempts have been made since the last success. */
  get attempts(): number {
    return this.#attempt
  }

  succeeded(): void {
    this.#attempt = 0
  }
}
