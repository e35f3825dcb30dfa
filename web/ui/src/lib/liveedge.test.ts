// Tests of live-edge control.
import { describe, expect, it } from 'vitest'
import { countsAnew, followEdge, growingRange, HURRY_MORE_RATE, HURRY_RATE, smoothFrameSec, targetSec } from './liveedge'

const live = { start: 100, end: 120 }
const at = (position: number, rate = 1, frameSec = 0.04) => followEdge({ position, live, frameSec, rate })

describe('followEdge', () => {
  it('leaves a picture near the edge alone', () => {
    expect(at(119.7)).toEqual({ seek: null, rate: 1, trimBefore: null })
  })

  it('hurries when it falls behind, more when further', () => {
    expect(at(119.0).rate).toBe(HURRY_RATE)
    expect(at(118.6).rate).toBe(HURRY_MORE_RATE)
  })

  it('goes on hurrying until the target is reached', () => {
    expect(at(119.5, HURRY_RATE).rate).toBe(HURRY_RATE)
    expect(at(119.5, 1).rate).toBe(1)
    expect(at(119.8, HURRY_RATE).rate).toBe(1)
  })

  it('seeks when far behind or outside the live range', () => {
    expect(at(110).seek).toBeCloseTo(119.75)
    expect(at(0).seek).toBeCloseTo(119.75)
    expect(at(500).seek).toBeCloseTo(119.75)
  })

  it('never seeks before the range begins', () => {
    expect(followEdge({ position: 0, live: { start: 7, end: 7.1 }, frameSec: 0.04, rate: 1 }).seek).toBe(7)
  })

  it('gives a one-frame-a-second stream more room, and converges: simulated for a minute', () => {
    let position = 0
    let rate = 1
    let worst = 0
    for (let now = 3; now < 63; now += 0.25) {
      const decision = followEdge({ position, live: { start: 0, end: now }, frameSec: 0.04, rate })
      rate = decision.rate
      position = (decision.seek ?? position) + 0.25 * rate
      if (now > 5) worst = Math.max(worst, now + 0.25 - position)
    }
    expect(worst).toBeLessThan(1)
    expect(targetSec(1)).toBeGreaterThan(1)
  })

  it('trims in steps and keeps more than a long GOP', () => {
    const long = { start: 0, end: 60 }
    expect(followEdge({ position: 59.8, live: long, frameSec: 0.04, rate: 1 }).trimBefore).toBeCloseTo(29.8)
    expect(followEdge({ position: 40, live: { start: 0, end: 40.2 }, frameSec: 0.04, rate: 1 }).trimBefore).toBeNull()
  })
})

describe('growingRange', () => {
  it('finds the range that grew even when it is not the last', () => {
    const before = [{ start: 0, end: 1 }, { start: 50, end: 60 }]
    expect(growingRange(before, [{ start: 0, end: 1.04 }, { start: 50, end: 60 }])).toEqual({ start: 0, end: 1.04 })
  })

  it('takes a new range as the growing one', () => {
    expect(growingRange([{ start: 50, end: 60 }], [{ start: 2, end: 2.04 }, { start: 50, end: 60 }])).toEqual({ start: 2, end: 2.04 })
  })

  it('falls back to the last, and to null', () => {
    expect(growingRange([{ start: 0, end: 9 }], [{ start: 3, end: 9 }])).toEqual({ start: 3, end: 9 })
    expect(growingRange([], [])).toBeNull()
  })
})

describe('countsAnew', () => {
  it('knows a restarted publisher from trimming and from jumps ahead', () => {
    expect(countsAnew(live, { start: 2, end: 2.04 })).toBe(true)
    expect(countsAnew(live, { start: 110, end: 120.04 })).toBe(false)
    expect(countsAnew(live, { start: 400, end: 401 })).toBe(false)
    expect(countsAnew(live, null)).toBe(false)
  })
})

describe('smoothFrameSec', () => {
  it('starts with the first growth, then follows slowly, and ignores jumps', () => {
    expect(smoothFrameSec(0, 0.04)).toBe(0.04)
    expect(smoothFrameSec(0.04, 0.12)).toBeCloseTo(0.05)
    expect(smoothFrameSec(0.04, 30)).toBe(0.04)
    expect(smoothFrameSec(0.04, 0)).toBe(0.04)
  })
})
