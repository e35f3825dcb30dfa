// Why an update was not taken, by the API's codes: what happened, and what to do. That nothing was changed is said once for all. Pure.

export interface Failure {
  code: string
  /** The recorder's own words. */
  message: string
  /** How much had been sent when the connection broke, in per cent. */
  percent: number | null
}

export interface FailureWords {
  title: string
  todo: string
  /** The same file may well work when it is sent again. */
  again: boolean
}

const WORDS: Record<string, [title: string, todo: string]> = {
  not_a_bundle: ['This file is not an update', 'Choose the file whose name begins with candor- and ends in .bundle. If you have an archive, unpack it first.'],
  wrong_board: ['This update is made for other hardware', 'Get the one whose name has the name of this board.'],
  bad_signature: ['Nobody whom this recorder trusts has signed this update', 'Do not use this file. Get it again from where releases are published. If you build your own, enrol your key below first.'],
  damaged: ['The file is damaged', 'It was changed or cut short on its way to you. Download or copy it again, then send it.'],
  expired: ['The signature of this update has run out', 'Get a newer one. If this recorder’s clock is wrong, set it right first.'],
  too_old: ['This version is ruled out for good', 'A later update closed a hole that this version still has, so no confirmation brings it back. Get a newer one.'],
  busy: ['Another update is on its way', 'Wait until it has ended; it is shown here.'],
  not_supported: ['This recorder does not take updates here', 'Update it as its operating system updates programs.'],
  too_large: ['The file is larger than any update for this recorder', 'Check that it is the right file.'],
  no_space: ['There is no room to keep the update while it is checked', 'Connect a disk, or have one formatted under Health. Then send it again.'],
  cancelled: ['Cancelled', 'What had arrived was thrown away.'],
  no_file: ['The file is not on the stick any more', 'Plug the stick in again and wait until the file is listed.'],
  body_too_slow: ['The connection became too slow', 'Move closer or use a cable, then send it again.'],
  body_cut_off: ['The connection broke', 'Check the network between this device and the recorder, then send it again.'],
  network: ['The connection broke', 'Check the network between this device and the recorder, then send it again.'],
}

/** Codes after which sending the same file again makes sense. */
const AGAIN = ['no_space', 'busy', 'cancelled', 'body_too_slow', 'body_cut_off', 'network']

export function failureWords({ code, message, percent }: Failure): FailureWords {
  const known = Object.hasOwn(WORDS, code) ? WORDS[code] : undefined
  if (!known) return { title: 'The update was not taken', todo: message, again: true }
  const [title, todo] = known
  const at = code === 'network' && percent !== null ? ` at ${percent} %` : ''
  return { title: title + at, todo, again: AGAIN.includes(code) }
}
