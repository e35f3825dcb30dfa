// What a new password and a new name must be, said while they are typed. Hints to get it right at once; the recorder
// decides, and nothing here is stricter than it. Pure.

/** As the recorder's own rule: long beats complicated. */
export const MIN_LENGTH = 10
/** The longest name of a user or stream key. */
export const MAX_NAME_LENGTH = 32

/** Beginnings of what attackers try first; the recorder's list is longer. */
const TRIED_FIRST = /^(password|passwort|qwerty|qwertz|letmein|iloveyou|changeme|football|welcome|admin)[0-9!]*$/

export interface Rule {
  words: string
  met: boolean
}

/** The rules for a password, each met or not. */
export function rules(password: string, user: string): Rule[] {
  const low = password.toLowerCase()
  const bare = low.replace(/[0-9!]+$/, '')
  return [
    { words: `${MIN_LENGTH} characters or more; a few words are best`, met: [...password].length >= MIN_LENGTH },
    { words: 'not the user name with a number', met: password !== '' && bare !== user.trim().toLowerCase() },
    { words: 'not one that is tried first, like 1234567890', met: password !== '' && !row(low) && !TRIED_FIRST.test(low) },
  ]
}

/** One character over and over, or the alphabet or digits in a row. */
function row(text: string): boolean {
  const steps = [...text].slice(1).map((_, i) => text.charCodeAt(i + 1) - text.charCodeAt(i))
  // After 9 comes 0 on a keyboard.
  return [0, 1, -1].some((step) => steps.every((one) => one === step || (step !== 0 && one === -9 * step)))
}

/** What is wrong with the name of a user or stream key; null when nothing is, or nothing is typed yet. */
export function nameProblem(text: string): string | null {
  const name = text.trim()
  if (name === '') return null
  if (name.length > MAX_NAME_LENGTH) return `At most ${MAX_NAME_LENGTH} characters.`
  if (!/^[a-z0-9]/i.test(name)) return 'Begin with a letter or digit.'
  return /^[a-z0-9._-]+$/i.test(name) ? null : 'Letters a to z, digits and . - _ only; it goes into addresses.'
}
