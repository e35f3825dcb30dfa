import { describe, expect, it } from 'vitest'
import { groups, groupToAsk, isGroup, missing } from './recoverykey'

const KEY = '00000-1A2B3-00000-00000-00000-00000-00T17-3GTEZ'

describe('the recovery key', () => {
  it('is shown in its groups', () => {
    expect(groups(KEY)).toHaveLength(8)
    expect(groups(KEY)[7]).toBe('3GTEZ')
  })

  it('is typed as the recorder reads it', () => {
    for (const typed of ['1A2B3', '1a2b3', ' la2b3 ', 'i-A-2-b-3']) expect(isGroup(KEY, 1, typed)).toBe(true)
    for (const typed of ['', '1A2B', '1A2B33', '3B2A1']) expect(isGroup(KEY, 1, typed)).toBe(false)
    expect(isGroup(KEY, 0, 'OOOOO')).toBe(true)
    expect(isGroup(KEY, 8, '')).toBe(false)
  })

  it('asks for any group but the first', () => {
    expect(groupToAsk(KEY, 0)).toBe(1)
    expect(groupToAsk(KEY, 0.999)).toBe(7)
    expect(groupToAsk('', 0.5)).toBe(0)
  })

  it('counts what is missing', () => {
    expect(missing(KEY)).toBe(0)
    expect(missing(KEY.replaceAll('-', ' ').slice(0, 11))).toBe(30)
    expect(missing(`${KEY}0`)).toBe(-1)
  })
})
