// Keeping a live picture within a second of its newest frame: what to do, decided from buffered ranges. Pure.
// The caller (mse.ts) reads the media element and carries the decisions out.

/** A buffered range in media seconds. */
export interface Range {
  start: number
  end: number
}

export interface EdgeInput {
  /** The element's current media time. */
  position: number
  /** The range that grows with each fragment. */
  live: Range
  /** Usual distance of two frames in seconds; a slow sub stream needs more room. */
  frameSec: number
  /** The rate that was last chosen. */
  rate: number
}

export interface EdgeDecision {
  /** Seek there first; null when the position is fine. */
  seek: number | null
  rate: number
  /** Everything before this media time may be removed; null when there is not enough to bother. */
  trimBefore: number | null
}

/** Beyond this distance a faster rate would take too long: seek. */
export const SEEK_BEHIND_SEC = 2
/** Beyond this distance the picture plays faster until it is back. */
export const HURRY_BEHIND_SEC = 0.8
/** Rate for catching up; small enough that people walk, not run, and pitch-corrected sound stays clear. */
export const HURRY_RATE = 1.15
export const HURRY_MORE_RATE = 1.5
/** Kept behind the position. More than a long GOP: removing a keyframe removes all that depends on it. */
export const KEEP_BEHIND_SEC = 30
/** Trimming begins when this much lies behind. */
export const TRIM_WHEN_BEHIND_SEC = 45

/** The distance to the newest frame that is aimed at: room for jitter, and for one and a half frames of a slow stream. */
export function targetSec(frameSec: number): number {
  return Math.min(Math.max(0.25, 1.5 * frameSec), 1.8)
}

/** What to do now. */
export function followEdge({ position, live, frameSec, rate }: EdgeInput): EdgeDecision {
  const target = targetSec(frameSec)
  const behind = live.end - position
  const trimBefore = position - live.start > TRIM_WHEN_BEHIND_SEC ? position - KEEP_BEHIND_SEC : null
  const outside = position < live.start - 0.001 || position > live.end + 0.001
  if (outside || behind > Math.max(SEEK_BEHIND_SEC, 2.5 * target)) {
    return { seek: Math.max(live.start, live.end - target), rate: 1, trimBefore }
  }
  const hurry = Math.max(HURRY_BEHIND_SEC, target + 0.3)
  if (behind > 1.6 * hurry) return { seek: null, rate: HURRY_MORE_RATE, trimBefore }
  if (behind > hurry) return { seek: null, rate: HURRY_RATE, trimBefore }
  // Hysteresis: once hurrying, go on until the target is reached.
  if (rate > 1 && behind > target) return { seek: null, rate: HURRY_RATE, trimBefore }
  return { seek: null, rate: 1, trimBefore }
}

/**
 * The range that grew between two looks at the buffer, or the one with the highest end when none did.
 * A restarted publisher may count from an earlier time: the newest range is not always the last one.
 */
export function growingRange(before: readonly Range[], after: readonly Range[]): Range | null {
  for (const range of after) {
    const old = before.find((one) => one.start <= range.end && one.end >= range.start)
    if (!old || range.end > old.end + 0.0005) return range
  }
  return after.at(-1) ?? null
}

/** Whether the range that grows lies wholly before the one that grew last: its publisher was restarted and counts anew. */
export function countsAnew(before: Range, live: Range | null): boolean {
  return live !== null && live.end < before.start
}

/** Running estimate of the distance of two frames, from the growth of the live range per fragment. */
export function smoothFrameSec(before: number, growth: number): number {
  if (!(growth > 0) || growth > 5) return before
  return before === 0 ? growth : before + (growth - before) / 8
}
