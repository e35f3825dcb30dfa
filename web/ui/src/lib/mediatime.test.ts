// Tests of the mapping between media time and wall-clock time.
import { describe, expect, it } from 'vitest'
import { lastFrameOf, mediaBefore, mediaOf, piecesOf, placeOf, stepTo } from './mediatime'

const T = Date.parse('2026-11-20T10:00:00Z')
// Two minutes of footage, a gap of five seconds that media time runs through, one more minute.
const pieces = piecesOf({
  pieces: [
    { start: '2026-11-20T10:02:05.000Z', end: '2026-11-20T10:03:05.000Z', media_start_sec: 125 },
    { start: '2026-11-20T10:00:00.000Z', end: '2026-11-20T10:02:00.000Z', media_start_sec: 0 },
  ],
})

describe('placeOf', () => {
  it('maps media time inside a piece to the millisecond', () => {
    expect(placeOf(pieces, 0)).toEqual({ wallMs: T, gap: null })
    expect(placeOf(pieces, 61.5)).toEqual({ wallMs: T + 61_500, gap: null })
    expect(placeOf(pieces, 130)).toEqual({ wallMs: T + 130_000, gap: null })
  })

  it('names the gap and where the next footage begins', () => {
    const place = placeOf(pieces, 122)
    expect(place.wallMs).toBe(T + 120_000)
    expect(place.gap?.next?.mediaSec).toBe(125)
  })

  it('takes a frame that begins a piece, rounded to just before it, as in it', () => {
    expect(placeOf(pieces, 124.9996)).toEqual({ wallMs: T + 125_000, gap: null })
  })

  it('has nothing after the last piece', () => {
    expect(placeOf(pieces, 400)).toEqual({ wallMs: T + 185_000, gap: { fromMs: T + 185_000, next: null } })
  })

  it('takes media time before the first piece as its start', () => {
    expect(placeOf([{ startMs: T, endMs: T + 1000, mediaSec: 2 }], 0).wallMs).toBe(T)
    expect(placeOf([], 5)).toEqual({ wallMs: 0, gap: null })
  })

  it('works when media time closes the gap', () => {
    const closed = [{ startMs: T, endMs: T + 10_000, mediaSec: 0 }, { startMs: T + 60_000, endMs: T + 70_000, mediaSec: 10 }]
    expect(placeOf(closed, 9.9).wallMs).toBe(T + 9_900)
    expect(placeOf(closed, 10).wallMs).toBe(T + 60_000)
  })
})

describe('mediaOf', () => {
  it('is the inverse inside pieces', () => {
    for (const wall of [T, T + 1, T + 61_500, T + 125_000, T + 184_999]) {
      expect(placeOf(pieces, mediaOf(pieces, wall) ?? -1).wallMs).toBeCloseTo(wall, 6)
    }
  })

  it('goes to the next footage from a gap and from before the start', () => {
    expect(mediaOf(pieces, T + 122_000)).toBe(125)
    expect(mediaOf(pieces, T - 5_000)).toBe(0)
  })

  it('knows when nothing follows', () => {
    expect(mediaOf(pieces, T + 186_000)).toBeNull()
  })
})

describe('mediaBefore', () => {
  it('goes back from a gap, and from beyond the end', () => {
    expect(mediaBefore(pieces, T + 61_500, 25)).toBe(61.5)
    expect(mediaBefore(pieces, T + 122_000, 25)).toBeCloseTo(119.98)
    expect(mediaBefore(pieces, T + 900_000, 25)).toBeCloseTo(184.98)
    expect(mediaBefore(pieces, T - 1, 25)).toBeNull()
  })

  it('never leaves a piece shorter than a frame', () => {
    expect(lastFrameOf({ startMs: T, endMs: T + 5, mediaSec: 3 }, 10)).toBe(3)
  })
})

describe('stepTo', () => {
  it('lands in the middle of the neighbouring frame', () => {
    expect(stepTo(1, 25, 1)).toBeCloseTo(1.06)
    expect(stepTo(1, 25, -1)).toBeCloseTo(0.98)
    expect(stepTo(0, 25, -1)).toBe(0)
    expect(stepTo(1, 0, 1)).toBeCloseTo(1.06)
  })
})
