// Tests of the password hints, of key names and of addresses that need no browser.
import { describe, expect, it } from 'vitest'
import { nameOf } from './keys'
import { rules } from './passwords'

const met = (password: string, user = 'anna') => rules(password, user).map((rule) => rule.met)

describe('password rules', () => {
  it('want length, not the name, not a row', () => {
    expect(met('')).toEqual([false, false, false])
    expect(met('correct horse battery')).toEqual([true, true, true])
    expect(met('short')).toEqual([false, true, true])
    expect(met('my name is Anna, hi')).toEqual([true, false, true])
    expect(met('123456789012345')).toEqual([true, true, false])
    expect(met('aaaaaaaaaaaaaa')[2]).toBe(false)
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
