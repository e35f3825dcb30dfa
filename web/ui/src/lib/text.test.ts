// Tests of quantities in words.
import { describe, expect, it } from 'vitest'
import { bitRate, bytes, codecName, count, mimeCodec, noSound, pictureMime, stays } from './text'

describe('text', () => {
  it('writes bytes in decimal units with three figures at most', () => {
    expect([0, 999, 1000, 12_345_678, 999_600, 4e12].map(bytes)).toEqual(['0 B', '999 B', '1.0 KB', '12.3 MB', '1.0 MB', '4.0 TB'])
  })

  it('writes bit rates and codecs', () => {
    expect(bitRate(512_000)).toBe('512 kbit/s')
    expect(bitRate(4_120_000)).toBe('4.1 Mbit/s')
    expect(codecName('h265')).toBe('H.265')
    expect(mimeCodec('video/mp4; codecs="hvc1.1.6.L93.B0,mp4a.40.2"')).toBe('H.265')
    expect(mimeCodec('video/mp4; codecs="avc1.64001f"')).toBe('H.264')
    expect(pictureMime('video/mp4; codecs="avc1.64001f,alaw"')).toBe('video/mp4; codecs="avc1.64001f"')
    expect(pictureMime('video/mp4; codecs="avc1.64001f,avc1.42c01e,mp4a.40.2"')).toBe('video/mp4; codecs="avc1.64001f,avc1.42c01e"')
    expect(pictureMime('video/mp4; codecs="vp09.00.10.08"')).toBe('video/mp4; codecs="vp09.00.10.08"')
    expect(noSound(null)).toContain('no sound')
    expect(noSound({ codec: 'aac' })).toBeNull()
    expect(noSound({ codec: 'g711a' })).toContain('G.711 A-law')
    const of = (keep_days: number | null, expected_hours: number | null) => stays({ keep_days, expected_hours })
    expect([of(null, 300), of(null, 30), of(null, 1), of(null, null)]).toEqual(['about 12 days', 'about 30 hours', 'about 1 hour', 'not known yet'])
    expect([of(7, null), of(1, 24), of(7, 168), of(7, 100)]).toEqual(['7 days', '1 day', '7 days', 'about 4 days, not 7 days: the disk is too small'])
    expect(count(1, 'camera')).toBe('1 camera')
    expect(count(0, 'camera')).toBe('0 cameras')
  })
})
