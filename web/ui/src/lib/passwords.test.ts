// Tests of the password hints, of key names and of addresses that need no browser.
import { describe, expect, it } from 'vitest'
import { nameOf } from './keys'
import { nameProblem, rules } from './passwords'

const met = (password: string, user = 'anna') => rules(password, user).map((rule) => rule.met)

describe('password rules', () => {
  it('want length, not the name, not a row', () => {
    expect(met('')).toEqual([false, false, false])
    expect(met('correct horse battery')).toEqual([true, true, true])
    expect(met('short')).toEqual([false, true, true])
    expect(met('Annamaria2026!', 'annamaria')).toEqual([true, false, true])
    expect(met('123456789012345')).toEqual([true, true, false])
    expect(met('zyxwvutsrqpo')[2]).toBe(false)
    expect(met('aaaaaaaaaaaaaa')[2]).toBe(false)
    expect(met('Password1234')[2]).toBe(false)
  })

  it('are no stricter than the recorder', () => {
    expect(met('abcabcabcabc')).toEqual([true, true, true])
    expect(met('my name is anna')).toEqual([true, true, true])
  })

  it('hold for names too', () => {
    expect(['', 'anna', 'Anna.B-2_c'].map(nameProblem)).toEqual([null, null, null])
    expect(['-a', 'a b', 'zoë', 'x'.repeat(33)].every((name) => nameProblem(name) !== null)).toBe(true)
  })

  it('count characters, not code units', () => {
    expect(met('🔒🔒🔒🔒🔒🔒')[0]).toBe(false)
  })
})

describe('key names', () => {
  it('are lower case, with Shift only where it is not in the key already', () => {
    expect(nameOf({ key: 'J', shiftKey: true })).toBe('j')
    expect(nameOf({ key: '?', shiftKey: true })).toBe('?')
    expect(nameOf({ key: 'ArrowLeft', shiftKey: true })).toBe('Shift+ArrowLeft')
    expect(nameOf({ key: ' ', shiftKey: false })).toBe(' ')
  })
})
