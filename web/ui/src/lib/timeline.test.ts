// Tests of the timeline's geometry.
import { describe, expect, it } from 'vitest'
import {
  bar, centre, DAY, follow, gaps, holdBefore, MAX_SPAN_MS, MIN_SPAN_MS, nextRun, pan, pinch, previousRun, runAt, stepFor, ticks,
  timeOf, withSpan, xOf, zoom, type View,
} from './timeline'
import { offsetMs } from './time'

const T = Date.parse('2026-11-20T10:00:00Z')
const HOUR = 3_600_000
const view: View = { startMs: T, spanMs: HOUR, width: 1200 }
const runs = [
  { startMs: T, endMs: T + 600_000 },
  { startMs: T + 605_000, endMs: T + 1_200_000 },
  { startMs: T + 3_000_000, endMs: T + 3_600_000 },
]

describe('time and pixels', () => {
  it('are inverse', () => {
    expect(xOf(view, T + HOUR / 2)).toBe(600)
    for (const x of [0, 1, 333.3, 1200]) expect(xOf(view, timeOf(view, x))).toBeCloseTo(x, 6)
  })
})

describe('zoom', () => {
  it('keeps the time under the pointer', () => {
    for (const x of [0, 250, 1200]) {
      for (const factor of [0.5, 0.9, 1.3, 4]) {
        expect(timeOf(zoom(view, x, factor), x)).toBeCloseTo(timeOf(view, x), 3)
      }
    }
  })

  it('stops at a quarter of a minute and at a week, still without moving the pointer', () => {
    const close = zoom(view, 300, 1e-9)
    expect(close.spanMs).toBe(MIN_SPAN_MS)
    expect(timeOf(close, 300)).toBeCloseTo(timeOf(view, 300), 3)
    expect(zoom(view, 300, 1e9).spanMs).toBe(MAX_SPAN_MS)
  })

  it('goes to a span around the playhead, in sight or not', () => {
    expect(xOf(withSpan(view, DAY, T + HOUR / 4), T + HOUR / 4)).toBeCloseTo(300)
    expect(xOf(withSpan(view, DAY, T - HOUR), T - HOUR)).toBeCloseTo(600)
  })
})

describe('pan and pinch', () => {
  it('moves what is under the finger with it', () => {
    expect(xOf(pan(view, 100), T)).toBeCloseTo(100)
    expect(pan(pan(view, 57), -57).startMs).toBeCloseTo(view.startMs)
  })

  it('keeps both fingers on their times', () => {
    const before = [400, 800] as const
    const after = [200, 900] as const
    const pinched = pinch(view, before, after)
    expect(timeOf(pinched, after[0])).toBeCloseTo(timeOf(view, before[0]), 3)
    expect(timeOf(pinched, after[1])).toBeCloseTo(timeOf(view, before[1]), 3)
  })

  it('survives fingers on one point', () => {
    expect(Number.isFinite(pinch(view, [5, 5], [5, 5]).spanMs)).toBe(true)
  })
})

describe('follow and hold', () => {
  it('leaves the view alone while the playhead is well inside', () => {
    expect(follow(view, T + HOUR / 2)).toBe(view)
  })

  it('turns the page forwards, backwards, and centres after a jump', () => {
    const onwards = T + HOUR * 0.96
    expect(xOf(follow(view, onwards), onwards)).toBeCloseTo(180)
    const back = T + HOUR * 0.04
    expect(xOf(follow(view, back), back)).toBeCloseTo(1020)
    const far = T + 20 * HOUR
    expect(xOf(follow(view, far), far)).toBeCloseTo(600)
  })

  it('keeps now in sight', () => {
    expect(xOf(holdBefore(centre(view, T + 9 * HOUR), T), T)).toBeCloseTo(804)
    expect(holdBefore(view, T + DAY)).toBe(view)
  })
})

describe('ticks', () => {
  it('stand on round local times', () => {
    const found = ticks(view, 600_000, () => 0)
    expect(found.map((tick) => tick.x)).toEqual([0, 200, 400, 600, 800, 1000, 1200])
    expect(stepFor(view, 90)).toBe(300_000)
    expect(stepFor({ ...view, spanMs: MIN_SPAN_MS }, 60)).toBe(1000)
    expect(stepFor({ ...view, spanMs: MAX_SPAN_MS, width: 300 }, 200)).toBe(DAY)
  })

  it('know midnight in a zone off the hour', () => {
    const day: View = { startMs: Date.parse('2026-11-19T12:00:00Z'), spanMs: DAY, width: 1000 }
    const midnight = ticks(day, 6 * HOUR, (ms) => offsetMs(ms, 'Asia/Kathmandu')).filter((tick) => tick.midnight)
    expect(midnight.map((tick) => new Date(tick.ms).toISOString())).toEqual(['2026-11-19T18:15:00.000Z'])
  })

  it('stay on local midnight across a change of summer time', () => {
    const week: View = { startMs: Date.parse('2026-10-23T00:00:00Z'), spanMs: MAX_SPAN_MS, width: 1400 }
    const found = ticks(week, DAY, (ms) => offsetMs(ms, 'Europe/Berlin'))
    expect(found.map((tick) => new Date(tick.ms).toISOString().slice(5, 13))).toEqual([
      '10-23T22', '10-24T22', '10-25T23', '10-26T23', '10-27T23', '10-28T23', '10-29T23',
    ])
  })
})

describe('runs', () => {
  it('are found at, after and before a time', () => {
    expect(runAt(runs, T + 1)).toBe(runs[0])
    expect(runAt(runs, T + 602_000)).toBeNull()
    expect(nextRun(runs, T + 602_000)).toBe(runs[1])
    expect(nextRun(runs, T + 3_100_000)).toBeNull()
    expect(previousRun(runs, T + 3_100_000)).toBe(runs[2])
    expect(previousRun(runs, T + 3_000_500)).toBe(runs[1])
    expect(previousRun(runs, T)).toBeNull()
  })

  it('leave gaps only between them', () => {
    expect(gaps(runs, T, T + HOUR)).toEqual([
      { startMs: T + 600_000, endMs: T + 605_000 },
      { startMs: T + 1_200_000, endMs: T + 3_000_000 },
    ])
    expect(gaps(runs, T + 1_300_000, T + 1_400_000)).toHaveLength(1)
    expect(gaps([], T, T + HOUR)).toEqual([])
  })

  it('become bars, clipped to the view and never thinner than a pixel', () => {
    expect(bar(view, runs[0]!)).toEqual({ x: 0, width: 200 })
    expect(bar(view, { startMs: T - HOUR, endMs: T + 2 * HOUR })).toEqual({ x: 0, width: 1200 })
    expect(bar(view, { startMs: T + 1000, endMs: T + 1001 })?.width).toBe(1)
    expect(bar(view, { startMs: T - HOUR, endMs: T })).toBeNull()
  })
})
