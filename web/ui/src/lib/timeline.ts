// Geometry of the timeline: time <-> pixels, zoom, pan, ticks, runs and gaps. Pure; the canvas is drawn elsewhere.

/** What part of time is seen: `width` CSS pixels show `spanMs` from `startMs` on. */
export interface View {
  startMs: number
  spanMs: number
  width: number
}

/** Footage without a gap, in milliseconds. */
export interface Run {
  startMs: number
  endMs: number
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
/** Finest zoom: single seconds stand far enough apart to be hit by a finger. */
export const MIN_SPAN_MS = 15 * SECOND
/** Widest zoom: a week; beyond that the date picker is quicker. */
export const MAX_SPAN_MS = 7 * DAY

export function xOf(view: View, ms: number): number {
  return ((ms - view.startMs) / view.spanMs) * view.width
}

export function timeOf(view: View, x: number): number {
  return view.startMs + (x / view.width) * view.spanMs
}

export function endOf(view: View): number {
  return view.startMs + view.spanMs
}

/** Zooms by `factor` (below 1: closer); what is under `x` stays there. */
export function zoom(view: View, x: number, factor: number): View {
  const spanMs = Math.min(Math.max(view.spanMs * factor, MIN_SPAN_MS), MAX_SPAN_MS)
  const fixed = timeOf(view, x)
  return { ...view, spanMs, startMs: fixed - (x / view.width) * spanMs }
}

/** The view with this span, `ms` kept where it is, or brought to the middle when it was out of sight. */
export function withSpan(view: View, spanMs: number, ms: number): View {
  const x = xOf(view, ms)
  const at = x >= 0 && x <= view.width ? x : view.width / 2
  const span = Math.min(Math.max(spanMs, MIN_SPAN_MS), MAX_SPAN_MS)
  return { ...view, spanMs: span, startMs: ms - (at / view.width) * span }
}

/** Moves the content by `dx` pixels (right is positive: earlier times come into sight). */
export function pan(view: View, dx: number): View {
  return { ...view, startMs: view.startMs - (dx / view.width) * view.spanMs }
}

export function centre(view: View, ms: number): View {
  return { ...view, startMs: ms - view.spanMs / 2 }
}

/** Two fingers: what was under each stays under each. */
export function pinch(view: View, from: readonly [number, number], to: readonly [number, number]): View {
  const before = Math.max(Math.abs(from[1] - from[0]), 8)
  const after = Math.max(Math.abs(to[1] - to[0]), 8)
  const middleFrom = (from[0] + from[1]) / 2
  const middleTo = (to[0] + to[1]) / 2
  return zoom(pan(view, middleTo - middleFrom), middleTo, before / after)
}

/** Keeps a playing time in sight: turns the page when it leaves the middle nine tenths. */
export function follow(view: View, ms: number): View {
  const x = xOf(view, ms)
  if (x >= view.width * 0.05 && x <= view.width * 0.95) return view
  const outside = x < -view.width || x > 2 * view.width
  const at = outside ? 0.5 : x > view.width * 0.95 ? 0.15 : 0.85
  return { ...view, startMs: ms - at * view.spanMs }
}

/** Not further right than a third of a view beyond now: the future is empty. */
export function holdBefore(view: View, nowMs: number): View {
  const latest = nowMs - view.spanMs * 0.67
  return view.startMs > latest ? { ...view, startMs: latest } : view
}

const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY,
]

/** The smallest round step whose ticks stand at least `apart` pixels from each other. */
export function stepFor(view: View, apart: number): number {
  const least = (apart / view.width) * view.spanMs
  return STEPS.find((step) => step >= least) ?? DAY
}

export interface Tick {
  ms: number
  x: number
  /** Midnight in the zone: the day's name belongs here. */
  midnight: boolean
}

/** Ticks at round local times; `offset` gives the zone's offset in milliseconds at a time. */
export function ticks(view: View, step: number, offset: (ms: number) => number): Tick[] {
  const found: Tick[] = []
  const end = endOf(view)
  // Each tick is computed from its local time, so that a change of summer time moves no later tick off its hour.
  let local = Math.ceil((view.startMs + offset(view.startMs)) / step) * step
  for (let guard = 0; guard < 2000; guard++) {
    const near = local - offset(view.startMs)
    const ms = local - offset(near)
    if (ms > end) break
    if (ms >= view.startMs && ms !== found.at(-1)?.ms) {
      found.push({ ms, x: xOf(view, ms), midnight: local % DAY === 0 })
    }
    local += step
  }
  return found
}

/** The run that holds `ms`. */
export function runAt(runs: readonly Run[], ms: number): Run | null {
  return runs.find((run) => run.startMs <= ms && ms < run.endMs) ?? null
}

/** The first run that begins after `ms`. */
export function nextRun(runs: readonly Run[], ms: number): Run | null {
  return runs.find((run) => run.startMs > ms) ?? null
}

/** Time of day is not frame-exact: this near to a run's start, "previous" means the one before. */
const AT_START_MS = 2_000

/** The last run that begins well before `ms`; pressed at the start of a run, the one before it. */
export function previousRun(runs: readonly Run[], ms: number): Run | null {
  return runs.findLast((run) => run.startMs < ms - AT_START_MS) ?? null
}

/** What lies between runs, from the oldest to the newest footage; before and after there was nothing to record. */
export function gaps(runs: readonly Run[], from: number, to: number): Run[] {
  const found: Run[] = []
  for (let i = 0; i + 1 < runs.length; i++) {
    const gap = { startMs: runs[i]!.endMs, endMs: runs[i + 1]!.startMs }
    if (gap.endMs > gap.startMs && gap.endMs > from && gap.startMs < to) found.push(gap)
  }
  return found
}

/** The part of a run that is seen, in pixels; null when out of sight. Never thinner than a hairline. */
export function bar(view: View, run: Run): { x: number; width: number } | null {
  if (run.endMs <= view.startMs || run.startMs >= endOf(view)) return null
  const x = Math.max(0, xOf(view, run.startMs))
  const end = Math.min(view.width, xOf(view, run.endMs))
  return { x, width: Math.max(1, end - x) }
}
