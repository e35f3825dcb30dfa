// Tests of the reconnect back-off.
import { describe, expect, it } from 'vitest'
import { Backoff, FIRST_WAIT_MS, LONGEST_WAIT_MS, waitMs } from './backoff'

describe('waitMs', () => {
  it('doubles from the first wait up to the longest', () => {
    expect([0, 1, 2, 3, 4, 5, 50].map((n) => waitMs(n, 0.5))).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000])
  })

  it('spreads by a quarter either way', () => {
    expect(waitMs(0, 0)).toBe(FIRST_WAIT_MS * 0.75)
    expect(waitMs(9, 1)).toBe(LONGEST_WAIT_MS * 1.25)
  })

  it('takes a negative attempt as the first', () => {
    expect(waitMs(-3, 0.5)).toBe(FIRST_WAIT_MS)
  })
})

describe('Backoff', () => {
  it('grows with each attempt and starts anew after a success', () => {
    const backoff = new Backoff(() => 0.5)
    expect([backoff.next(), backoff.next(), backoff.next()]).toEqual([500, 1000, 2000])
    expect(backoff.attempts).toBe(3)
    backoff.succeeded()
    expect(backoff.attempts).toBe(0)
    expect(backoff.next()).toBe(500)
  })
})
