// Tests of the line about lost footage.
import { describe, expect, it } from 'vitest'
import { lostLine } from './losses'
import type { LostFootage } from './views'

const loss = (channel: number, lost_sec: number, more: Partial<LostFootage> = {}): LostFootage => ({
  channel,
  sound: false,
  cause: 'disk_failed',
  lost_sec,
  times: 1,
  last: '2026-11-20T13:02:00Z',
  message: '',
  ...more,
})

describe('losses', () => {
  it('says nothing where nothing was lost', () => {
    expect(lostLine([])).toBeNull()
  })

  it('adds up all reasons and names each channel once', () => {
    expect(lostLine([loss(3, 4)])).toBe('4 s of footage of 1 channel did not get onto a disk since recording was last started')
    expect(lostLine([loss(3, 50), loss(3, 20, { cause: 'disk_slow' }), loss(4, 5)])).toMatch(/^1 min 15 s of footage of 2 channels /)
  })

  it('counts sound where there is no picture missing beside it', () => {
    expect(lostLine([loss(3, 4), loss(3, 4, { sound: true })])).toMatch(/^4 s of footage of 1 channel /)
    expect(lostLine([loss(3, 6, { sound: true })])).toMatch(/^6 s of footage of 1 channel /)
  })
})
