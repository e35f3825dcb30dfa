// Tests of time formatting and of dates in the recorder's zone, changes of summer time included.
import { describe, expect, it } from 'vitest'
import {
  clock, clockMillis, dateValue, dayName, duration, full, instant, knownZone, offsetMs, offsetName, rfc3339Short, shortTime, timeOfDay,
} from './time'

const BERLIN = 'Europe/Berlin'
const T = Date.parse('2026-11-20T10:00:07.040Z')

describe('formatting in a zone', () => {
  it('shows clock, day and offset of the recorder, not of the browser', () => {
    expect(clock(T, BERLIN)).toBe('11:00:07')
    expect(clock(T, 'UTC')).toBe('10:00:07')
    expect(clock(T, 'America/St_Johns')).toBe('06:30:07')
    expect(clockMillis(T, BERLIN)).toBe('11:00:07.040')
    expect(dayName(T, BERLIN)).toBe('Fri 20 Nov')
    expect(full(T, BERLIN)).toBe('Fri 20 Nov 2026, 11:00:07 (UTC+01:00, Europe/Berlin)')
  })

  it('writes midnight as 00', () => {
    expect(clock(Date.parse('2026-11-19T23:00:00Z'), BERLIN)).toBe('00:00:00')
    expect(dateValue(Date.parse('2026-11-19T23:00:00Z'), BERLIN)).toBe('2026-11-20')
  })

  it('knows offsets either side of Greenwich and of summer time', () => {
    expect(offsetName(T, BERLIN)).toBe('UTC+01:00')
    expect(offsetName(Date.parse('2026-07-01T00:00:00Z'), BERLIN)).toBe('UTC+02:00')
    expect(offsetName(T, 'America/St_Johns')).toBe('UTC−03:30')
    expect(offsetMs(T, 'Asia/Kathmandu')).toBe(20_700_000)
  })

  it('leaves the day out today', () => {
    expect(shortTime(T, BERLIN, T + 3_600_000)).toBe('11:00:07')
    expect(shortTime(T, BERLIN, T + 86_400_000)).toBe('Fri 20 Nov 11:00')
  })

  it('falls back to UTC for a zone the browser does not know', () => {
    expect(knownZone('Mars/Olympus')).toBe('UTC')
    expect(knownZone(BERLIN)).toBe(BERLIN)
  })
})

describe('instant', () => {
  it('reads a date and time in the zone', () => {
    expect(instant('2026-11-20', '11:00:07', BERLIN)).toBe(Date.parse('2026-11-20T10:00:07Z'))
    expect(instant('2026-11-20', '11:00', 'UTC')).toBe(Date.parse('2026-11-20T11:00:00Z'))
  })

  it('takes the first of a doubled hour and moves a missing one on', () => {
    expect(instant('2026-10-25', '02:30', BERLIN)).toBe(Date.parse('2026-10-25T00:30:00Z'))
    expect(clock(instant('2026-03-29', '02:30', BERLIN) ?? 0, BERLIN)).toBe('03:30:00')
  })

  it('refuses what is not a date', () => {
    expect(instant('', '11:00', BERLIN)).toBeNull()
    expect(instant('2026-11-20', 'noon', BERLIN)).toBeNull()
  })
})

describe('timeOfDay', () => {
  it('reads what people type and nothing else', () => {
    expect(['9:05', '14:02:07', '1402', '140207', ' 14.02 '].map(timeOfDay)).toEqual(['09:05:00', '14:02:07', '14:02:00', '14:02:07', '14:02:00'])
    expect(['', 'noon', '24:00', '9:60', '12:00:99', '123'].map(timeOfDay)).toEqual([null, null, null, null, null, null])
  })
})

describe('duration and addresses', () => {
  it('uses two units at most', () => {
    expect([400, 59_000, 60_000, 185_000, 3_600_000, 15_000_000, 100_800_000].map(duration)).toEqual([
      '0 s', '59 s', '1 min', '3 min 5 s', '1 h', '4 h 10 min', '1 d 4 h',
    ])
  })

  it('leaves out milliseconds only when there are none', () => {
    expect(rfc3339Short(T)).toBe('2026-11-20T10:00:07.040Z')
    expect(rfc3339Short(T - 40)).toBe('2026-11-20T10:00:07Z')
  })
})
