import { describe, expect, it } from 'vitest'
import { follow, outcomeWords, stepOf, type Follow } from './updateflow'
import type { StageCode, Update } from './views'

const view = (code: StageCode, more: Partial<Update> = {}, version: string | null = '0.2.0'): Update => ({
  supported: true,
  reason: null,
  stage: { code, message: '', done_bytes: 0, total_bytes: 0, version },
  installed: { version: '0.1.0', commit: 'c', root_sha256: null, slot: 'a', trying: false, created: null, signed_by: 'release' },
  other: null,
  last: null,
  floor: '0.1.0',
  keys: [],
  usb: [],
  ...more,
})
const runs = (version: string) => ({ ...view('idle').installed, version })
const last = (outcome: 'good' | 'rolled_back' | 'refused', at: string, version = '0.2.0') => ({ version, outcome, message: '', at })

/** Follows the views one after the other. */
function through(...views: Update[]) {
  let on: Follow | null = null
  let result = null
  for (const one of views) ({ follow: on, result } = follow(on, one))
  return { on, result }
}

describe('follow', () => {
  it('tells that a new version was found healthy', () => {
    const { on, result } = through(view('receiving', {}, null), view('installing'), view('checking', { installed: runs('0.2.0') }), view('idle', { installed: runs('0.2.0'), last: last('good', '2') }, null))
    expect(on).toBeNull()
    expect(result && outcomeWords(result)).toBe('0.2.0 runs and was found healthy')
  })

  it('tells that the old one runs again, also when nothing was heard in between', () => {
    const { result } = through(view('installing', { last: last('good', '1', '0.1.0') }), view('failed', { last: last('rolled_back', '2') }))
    expect(result && outcomeWords(result)).toBe('0.2.0 did not become healthy; 0.1.0 runs again, nothing was lost')
  })

  it('does not take the word on an earlier update for this one', () => {
    const before = last('good', '1', '0.1.0')
    const { on, result } = through(view('receiving', { last: before }), view('idle', { last: before }, null))
    expect([on, result]).toEqual([null, null])
  })

  it('keeps what ran before across the restart', () => {
    const { on } = through(view('restarting'), view('checking', { installed: runs('0.2.0') }))
    expect(on).toMatchObject({ from: '0.1.0', version: '0.2.0', committed: true })
  })

  it('waits while the recorder is still starting, and while it is on trial', () => {
    const starting = view('idle', { supported: false, reason: 'The recorder is still starting.' }, null)
    const trial = view('idle', { installed: { ...runs('0.2.0'), trying: true } }, null)
    const { on } = through(view('restarting'), starting, trial)
    expect(on).toMatchObject({ from: '0.1.0', version: '0.2.0' })
    expect([starting, trial].map((one) => stepOf(one, on, true, false))).toEqual(['checking', 'checking'])
    expect(through(view('restarting'), starting, trial, { ...trial, last: last('good', '2') }).result?.outcome).toBe('good')
  })

  it('takes a restart without an update for just that', () => {
    expect(through(view('restarting', {}, null), view('idle', {}, null))).toEqual({ on: null, result: null })
  })

  it('says what runs when the recorder kept no word', () => {
    const { result } = through(view('installing'), view('idle'))
    expect(result && outcomeWords(result)).toBe('0.1.0 runs; the recorder kept no word on 0.2.0')
  })

  it('says nothing about what ended before the page was opened', () => {
    expect(through(view('idle', { last: last('good', '1') })).result).toBeNull()
  })
})

describe('stepOf', () => {
  const committed = { version: '0.2.0', from: '0.1.0', committed: true, lastAt: null }

  it('takes silence after writing for the restart, and silence before it for nothing', () => {
    expect(stepOf(view('installing'), committed, false, false)).toBe('restarting')
    expect(stepOf(view('receiving'), { ...committed, committed: false }, false, true)).toBe('receiving')
  })

  it('shows an upload that the recorder has not spoken of yet', () => {
    expect(stepOf(view('idle'), null, true, true)).toBe('receiving')
    expect(stepOf(view('failed'), null, true, false)).toBeNull()
  })
})
