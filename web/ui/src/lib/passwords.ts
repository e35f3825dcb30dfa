// What a password must be, said while it is typed. The recorder decides; these are hints to get it right at once. Pure.

/** As the recorder's own rule: long beats complicated. */
export const MIN_LENGTH = 12

export interface Rule {
  words: string
  met: boolean
}

/** The rules for a password, each met or not. */
export function rules(password: string, user: string): Rule[] {
  const low = password.toLowerCase()
  const name = user.trim().toLowerCase()
  return [
    { words: `${MIN_LENGTH} characters or more`, met: [...password].length >= MIN_LENGTH },
    { words: 'does not hold the user name', met: password !== '' && (name.length < 3 || !low.includes(name)) },
    { words: 'not a row or repeat like 123456 or aaaaaa', met: password !== '' && !monotonous(low) },
  ]
}

/** Mostly repeats or neighbours: at least half of all steps go 0, +1 or -1. */
function monotonous(text: string): boolean {
  if (text.length < 2) return true
  let dull = 0
  for (let i = 1; i < text.length; i++) {
    if (Math.abs(text.charCodeAt(i) - text.charCodeAt(i - 1)) <= 1) dull++
  }
  return dull * 2 >= text.length - 1
}
