import { describe, expect, it } from 'vitest'
import { ledgerLine } from './ledgerwords'

const line = (fields: object) => ledgerLine({ index: 7, leaf: JSON.stringify({ time: '2026-01-02T03:04:05.678Z', ...fields }) })

describe('an entry in words', () => {
  it('says who did what, from where, and for how long', () => {
    const start = '2026-01-02T03:00:00Z'
    const end = '2026-01-02T03:05:00Z'
    expect(line({ kind: 'export', by: 'ann', from: '192.0.2.7', channels: [1, 3], start, end, heads: [], manifest: 'ab' })).toMatchObject({
      index: 7, at: '2026-01-02T03:04:05.678Z', topic: 'watching', moment: start,
      words: 'ann saved 5 min of channels 1, 3 from 192.0.2.7, with a proof',
    })
    expect(line({ kind: 'view_started', by: 'bob', channel: 2, stream: 'sub', via: 'rtsp' }).words).toBe('bob began to watch channel 2 sub over RTSP')
    expect(line({ kind: 'view_ended', by: 'bob', channel: 2, stream: 'sub', via: 'rtsp', seconds: 7500 }).words).toBe('bob stopped watching channel 2 sub after 2 h 5 min')
    expect(line({ kind: 'login_failed', by: 'root', from: '2001:db8::1' }).words).toBe('Somebody tried to sign in as root from 2001:db8::1')
  })

  it('says what became of footage', () => {
    const streams = [{ channel: 4, stream: 'main' }, { channel: 1, stream: 'main' }, { channel: 4, stream: 'audio' }]
    expect(line({ kind: 'segment_removed', reason: 'expired', streams }).words).toBe('Footage of channels 1, 4 was as old as it may get')
    expect(line({ kind: 'footage_deleted', by: 'ann', volume: '07', streams: [{ channel: 4 }, { channel: 4 }] }).words).toBe('ann deleted footage of channel 4')
    expect(line({ kind: 'volume_erased', by: 'ann', volume: '07', streams: [{ channel: 2 }] }).words).toBe(
      'ann erased a disk with all its footage of channel 2',
    )
    expect(line({ kind: 'footage_lost', channel: 3, stream: 'main', start: '2026-01-02T03:00:00Z', end: '2026-01-02T03:00:12Z', units: 1, reason: 'disk_failed' }))
      .toMatchObject({ topic: 'footage', words: '12 s of channel 3 main is missing: the disk failed', moment: '2026-01-02T03:00:00Z' })
  })

  it('shows what it does not know as it is', () => {
    expect(line({ kind: 'of_the_future' })).toMatchObject({ topic: 'recorder', words: 'of_the_future' })
    expect(ledgerLine({ index: 0, leaf: 'no JSON' })).toMatchObject({ at: '', words: 'An entry that this page cannot read', leaf: 'no JSON' })
    expect(ledgerLine({ index: 0, leaf: '3' }).words).toBe('An entry that this page cannot read')
  })
})
