// What is recorded, for the timeline: runs of every channel around the part of time that is seen, loaded as it moves.
import { api, ApiError, wordsOf } from './api'
import { nextRun, previousRun, type Run } from './timeline'
import type { Timeline } from './views'

/** While now is in sight the newest run grows: ask again this often. */
const REFRESH_MS = 5_000
/** Wait until a pan or zoom rests for a moment. */
const SETTLE_MS = 120
/** The API's longest timeline is two years; looking for the nearest footage goes that far. */
const FAR_MS = 700 * 86_400_000

export class Footage {
  /** Runs by channel; null until the first answer. */
  runs = $state.raw<ReadonlyMap<number, readonly Run[]> | null>(null)
  oldestMs = $state<number | null>(null)
  newestMs = $state<number | null>(null)
  failure = $state<string | null>(null)
  loading = $state(false)

  #from = 0
  #to = 0
  #spanMs = 0
  #atMs = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #abort: AbortController | null = null

  /** Says which part is seen; loads when it is not there or no longer fresh. */
  need(fromMs: number, toMs: number, nowMs: number): void {
    const span = toMs - fromMs
    const inside = fromMs >= this.#from && Math.min(toMs, nowMs) <= this.#to && this.#spanMs <= 12 * span
    const fresh = toMs < this.#atMs - REFRESH_MS || Date.now() - this.#atMs < REFRESH_MS
    if (this.failure === null ? inside && fresh : Date.now() - this.#atMs < REFRESH_MS) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#load(fromMs - span, Math.min(toMs + span, Math.max(nowMs, fromMs + 1_000))), SETTLE_MS)
  }

  /** Some of it changed: what is seen is asked for again. */
  forget(): void {
    this.#atMs = 0
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#abort?.abort()
  }

  async #load(fromMs: number, toMs: number): Promise<void> {
    this.#abort?.abort()
    const abort = new AbortController()
    this.#abort = abort
    this.loading = true
    try {
      this.#take(await api.timeline(fromMs, toMs, null, abort.signal), fromMs, toMs)
      this.failure = null
    } catch (error) {
      if (abort.signal.aborted) return
      this.failure = wordsOf(error)
    } finally {
      if (this.#abort === abort) {
        this.#atMs = Date.now()
        this.loading = false
      }
    }
  }

  #take(timeline: Timeline, fromMs: number, toMs: number): void {
    this.#from = fromMs
    this.#to = toMs
    this.#spanMs = toMs - fromMs
    this.runs = new Map(timeline.channels.map((one) => [one.channel, runsOf(one.runs)]))
    const oldest = timeline.channels.flatMap((one) => (one.oldest ? [Date.parse(one.oldest)] : []))
    const newest = timeline.channels.flatMap((one) => (one.newest ? [Date.parse(one.newest)] : []))
    this.oldestMs = oldest.length > 0 ? Math.min(...oldest) : null
    this.newestMs = newest.length > 0 ? Math.max(...newest) : null
  }

  /** The footage of a channel that begins after, or before, a time; asks the recorder when it is not in sight. */
  async neighbour(channel: number, ms: number, direction: 1 | -1, nowMs: number): Promise<Run | null> {
    const find = (runs: readonly Run[]) => (direction > 0 ? nextRun(runs, ms) : previousRun(runs, ms))
    const seen = this.runs?.get(channel) ?? []
    const inSight = ms > this.#from && ms < this.#to ? find(seen) : null
    // A run that begins at the edge of what was loaded may begin earlier in truth.
    if (inSight && inSight.startMs > this.#from) return inSight
    try {
      const [from, to] = direction > 0 ? [ms, nowMs] : [ms - FAR_MS, ms]
      if (to <= from) return null
      const answer = await api.timeline(from, to, channel)
      return find(runsOf(answer.channels.find((one) => one.channel === channel)?.runs ?? []))
    } catch (error) {
      if (error instanceof ApiError) return null
      throw error
    }
  }
}

function runsOf(spans: readonly { start: string; end: string }[]): Run[] {
  return spans
    .map((span) => ({ startMs: Date.parse(span.start), endMs: Date.parse(span.end) }))
    .sort((a, b) => a.startMs - b.startMs)
}
