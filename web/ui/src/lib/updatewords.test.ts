import { describe, expect, it } from 'vitest'
import { failureWords } from './updatewords'

const CODES = [
  'not_a_bundle', 'wrong_board', 'bad_signature', 'damaged', 'expired', 'too_old', 'busy', 'not_supported', 'too_large', 'no_space', 'no_file',
]

describe('failureWords', () => {
  it('has own words for every code that the API names', () => {
    const titles = CODES.map((code) => failureWords({ code, message: 'x', percent: 50 }).title)
    expect(new Set(titles).size).toBe(CODES.length)
    expect(titles).not.toContain('The update was not taken')
  })

  it('says how far it was when the connection broke', () => {
    expect(failureWords({ code: 'network', message: '', percent: 42 })).toMatchObject({ title: 'The connection broke at 42 %', again: true })
  })

  it('passes on what it has no words for', () => {
    expect(failureWords({ code: 'constructor', message: 'The flash is worn out.', percent: null }).todo).toBe('The flash is worn out.')
  })
})
