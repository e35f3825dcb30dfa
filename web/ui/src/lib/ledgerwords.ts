// Entries of the ledger as sentences. Pure. What an entry does not say is left out; a kind that is not known is shown by its name.
import { count } from './text'
import type { LedgerEntry } from './views'

/** What an entry is about, for the list's filter. */
export type Topic = 'watching' | 'footage' | 'access' | 'recorder'

/** One entry, ready to be shown. */
export interface LedgerLine {
  index: number
  /** RFC 3339; empty when the entry does not say. */
  at: string
  topic: Topic
  words: string
  /** A moment on the timeline that it is about. */
  moment: string | null
  /** As it is signed. */
  leaf: string
}

type Fields = Record<string, unknown>

const VIA: Record<string, string> = { web: 'in a browser', rtsp: 'over RTSP', onvif: 'over ONVIF', screen: 'on the screen', playback: 'recorded footage', export: 'an export' }
const REMOVED: Record<string, string> = {
  overwritten: 'gave its room to new footage',
  expired: 'was as old as it may get',
  volume_shrunk: 'had no room any more',
}
const LOST: Record<string, string> = {
  disk_failed: 'the disk failed',
  ring_overrun: 'the disk was too slow',
  no_signal: 'there was no signal',
  other: 'something failed',
}

const text = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')
const from = (fields: Fields): string => (fields.from ? ` from ${text(fields.from)}` : '')
const by = (fields: Fields): string => text(fields.by) || 'Somebody'

function channels(value: unknown): string {
  const list = Array.isArray(value) ? value.map(text).filter((one) => one !== '') : [text(value)]
  return `${list.length === 1 ? 'channel' : 'channels'} ${list.join(', ')}`
}

/** ` of channels 1, 2`: those of the streams that a segment holds, each once; empty when it says none. */
function held(streams: unknown): string {
  const numbers = (Array.isArray(streams) ? streams : []).map((one: Fields) => Number(one.channel)).filter((n) => Number.isFinite(n))
  const each = [...new Set(numbers)].sort((a, b) => a - b)
  return each.length === 0 ? '' : ` of ${channels(each)}`
}

/** `12 s`, `3 min`, `2 h 5 min` */
function lasting(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function span(fields: Fields): string {
  const [start, end] = [Date.parse(text(fields.start)), Date.parse(text(fields.end))]
  return Number.isFinite(start) && Number.isFinite(end) ? `${lasting(Math.max(0, (end - start) / 1000))} of ` : ''
}

const KINDS: Record<string, [Topic, (fields: Fields) => string]> = {
  recorder_started: ['recorder', (f) => `The recorder started, version ${text(f.version)}`],
  recorder_stopped: ['recorder', () => 'The recorder stopped in order'],
  volume_opened: ['recorder', () => 'A disk began to take footage'],
  volume_closed: ['recorder', () => 'A disk was closed in order'],
  volume_failed: ['recorder', (f) => `A disk failed: ${text(f.error)}`],
  segment_sealed: ['footage', (f) => `Footage${held(f.streams)} was sealed`],
  segment_removed: ['footage', (f) => `Footage${held(f.streams)} ${REMOVED[text(f.reason)] ?? 'was removed'}`],
  volume_erased: ['footage', (f) => `${by(f)} erased a disk with all its footage${held(f.streams)}`],
  footage_deleted: ['footage', (f) => `${by(f)} deleted footage${held(f.streams)}`],
  footage_lost: ['footage', (f) => `${span(f)}channel ${text(f.channel)} ${text(f.stream)} is missing: ${LOST[text(f.reason)] ?? 'something failed'}`],
  clock_step: ['recorder', (f) => `The clock was set from ${text(f.before)} to ${text(f.after)}`],
  footage_locked: ['footage', (f) => `${by(f)} locked ${span(f)}${channels(f.channels)}${f.reason ? `: ${text(f.reason)}` : ''}`],
  footage_unlocked: ['footage', (f) => `${by(f)} unlocked ${span(f)}${channels(f.channels)}${f.reason ? `: ${text(f.reason)}` : ''}`],
  event_marked: ['footage', (f) => `${by(f)} marked channel ${text(f.channel)} as an event for ${lasting(Number(f.seconds) || 0)}${from(f)}`],
  export: ['watching', (f) => `${by(f)} saved ${span(f)}${channels(f.channels)}${from(f)}${f.manifest ? ', with a proof' : ''}`],
  view_started: ['watching', (f) => `${by(f)} began to watch channel ${text(f.channel)} ${text(f.stream)} ${VIA[text(f.via)] ?? text(f.via)}${from(f)}`],
  view_ended: ['watching', (f) => `${by(f)} stopped watching channel ${text(f.channel)} ${text(f.stream)} after ${lasting(Number(f.seconds) || 0)}`],
  login_ok: ['access', (f) => `${by(f)} signed in${from(f)}`],
  login_failed: ['access', (f) => `Somebody tried to sign in as ${text(f.by) || 'nobody'}${from(f)}`],
  settings_changed: ['access', (f) => `${by(f)} changed ${text(f.what) || 'the settings'}`],
  update_installed: ['recorder', (f) => `Version ${text(f.version)} was installed`],
  ledger_replaced: ['recorder', (f) => `A new ledger began after ${count(Number(f.size) || 0, 'entry', 'entries')}: ${text(f.reason)}`],
}

/** The entry in words. */
export function ledgerLine(entry: LedgerEntry): LedgerLine {
  let fields: Fields = {}
  try {
    const read: unknown = JSON.parse(entry.leaf)
    if (typeof read === 'object' && read !== null) fields = read as Fields
  } catch {
    // Shown as it is.
  }
  const kind = text(fields.kind)
  const [topic, words] = KINDS[kind] ?? ['recorder', () => kind || 'An entry that this page cannot read']
  const moment = ['footage_lost', 'footage_locked', 'export'].includes(kind) ? text(fields.start) || null : null
  return { index: entry.index, at: text(fields.time), topic, words: words(fields), moment, leaf: entry.leaf }
}
