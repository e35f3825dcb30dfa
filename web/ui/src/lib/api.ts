// The only way to the recorder's HTTP API: JSON, session cookie, CSRF header, and one error type for everything that fails.
import type {
  Camera, CameraInput, Channel, Claimed, Ledger, NewStreamKey, Recording, RecorderState, Session, Settings, StreamKey, StreamKind, Timeline,
  Update,
  Deletion,
  DeletionScope,
  Lock,
} from './views'
import { rfc3339 } from './time'

const BASE = '/api/v1'
/** A recorder on the same network answers in milliseconds; this long means it is gone. */
const ANSWER_WITHIN_MS = 20_000
/** Reading a whole stick, or erasing a whole disk, is answered when it is done. */
const LONG_WORK_MS = 600_000

/** What failed, in words for people; `code` for the program, `field` for forms. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly field: string | null
  readonly retryAfterSec: number | null

  constructor(status: number, code: string, message: string, field: string | null = null, retryAfterSec: number | null = null) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.field = field
    this.retryAfterSec = retryAfterSec
  }
}

let csrf: string | null = null
let onSignedOut: () => void = () => {}

/** The session store says which CSRF token holds, and is told when the recorder no longer knows the session. */
export function useSession(token: string | null, signedOut: () => void): void {
  csrf = token
  onSignedOut = signedOut
}

/** Turns an unsuccessful answer into an error. */
export async function errorOf(answer: Response): Promise<ApiError> {
  return errorFrom(answer.status, await answer.text().catch(() => ''), answer.headers.get('Retry-After'))
}

function errorFrom(status: number, text: string, retryAfter: string | null): ApiError {
  const retry = Number(retryAfter)
  const retryAfterSec = Number.isFinite(retry) && retry > 0 ? retry : null
  try {
    const { error } = JSON.parse(text) as { error?: { code?: string; message?: string; field?: string } }
    if (error?.message) return new ApiError(status, error.code ?? 'unknown', error.message, error.field ?? null, retryAfterSec)
  } catch {
    // Not JSON: something between us and the recorder answered.
  }
  return new ApiError(status, 'unknown', `The recorder could not do this (answer ${status}). Try again.`, null, retryAfterSec)
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal, withinMs = ANSWER_WITHIN_MS): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  if (method !== 'GET' && csrf) headers['X-CSRF-Token'] = csrf
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), withinMs)
  const abort = () => limit.abort()
  signal?.addEventListener('abort', abort)
  try {
    const answer = await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: limit.signal,
    })
    if (!answer.ok) {
      const error = await errorOf(answer)
      if (answer.status === 401 && path !== '/session') onSignedOut()
      throw error
    }
    // Some acts are answered by their status alone, and 202 is one.
    const text = await answer.text()
    return (text === '' ? undefined : JSON.parse(text)) as T
  } catch (error) {
    if (error instanceof ApiError) throw error
    if (signal?.aborted) throw new ApiError(0, 'aborted', 'Stopped.')
    throw new ApiError(0, 'network', 'The recorder does not answer. Check that it is on and that this device is on its network.')
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/**
 * Sends a bundle. With XMLHttpRequest, because `fetch` does not tell how much has been sent; for that there is no
 * time limit either: the recorder ends an upload that stands still.
 */
export function sendBundle(file: Blob, downgrade: boolean, sent: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest()
    const abort = () => request.abort()
    request.open('POST', `${BASE}/update${downgrade ? '?downgrade=1' : ''}`)
    request.setRequestHeader('Accept', 'application/json')
    request.setRequestHeader('Content-Type', 'application/octet-stream')
    if (csrf) request.setRequestHeader('X-CSRF-Token', csrf)
    request.upload.onprogress = (event) => sent(event.loaded)
    request.onload = () => {
      if (request.status === 202) return done()
      if (request.status === 401) onSignedOut()
      failed(errorFrom(request.status, request.responseText, request.getResponseHeader('Retry-After')))
    }
    request.onerror = () => failed(new ApiError(0, 'network', 'The connection to the recorder broke.'))
    request.onabort = () => failed(new ApiError(0, 'aborted', 'Stopped.'))
    request.onloadend = () => signal.removeEventListener('abort', abort)
    signal.addEventListener('abort', abort)
    request.send(file)
  })
}

function range(startMs: number, endMs: number): string {
  return `start=${encodeURIComponent(rfc3339(startMs))}&end=${encodeURIComponent(rfc3339(endMs))}`
}

/** Null: as the settings say. */
const chosen = (encrypt: boolean | null) => (encrypt === null ? {} : { encrypt })

export const api = {
  state: () => call<RecorderState>('GET', '/state'),
  claim: (input: { setup_code: string; user: string; password: string }) => call<Claimed>('POST', '/claim', input),
  session: () => call<Session>('GET', '/session'),
  logIn: (input: { user: string; password: string }) => call<Session>('POST', '/session', input),
  logOut: () => call<void>('DELETE', '/session'),

  rename: (channel: number, title: string) => call<Channel>('PUT', `/channels/${channel}`, { title }),
  locks: () => call<Lock[]>('GET', '/locks'),
  /** Answers with the bytes that are kept for it and for no other lock. */
  lock: (channels: number[], startMs: number, endMs: number, reason: string) =>
    call<{ lock: Lock; bytes: number }>('POST', '/locks', { channels, start: rfc3339(startMs), end: rfc3339(endMs), reason }),
  /** What would be deleted. */
  deletionScope: (channels: number[], startMs: number, endMs: number) =>
    call<DeletionScope>('POST', '/deletions/scope', { channels, start: rfc3339(startMs), end: rfc3339(endMs) }),
  deleteFootage: (channels: number[], startMs: number, endMs: number) =>
    call<DeletionScope>('POST', '/deletions', { channels, start: rfc3339(startMs), end: rfc3339(endMs), confirm: 'DELETE' }, undefined, LONG_WORK_MS),
  /** Those that are not done. */
  deletions: () => call<Deletion[]>('GET', '/deletions'),
  unlock: (id: number) => call<void>('DELETE', `/locks/${id}`),

  /** For how many days footage is kept; null: as long as there is room. And footage of events; null: as the rest. */
  keep: (channel: number, title: string, days: number | null, eventDays: number | null) =>
    call<Channel>('PUT', `/channels/${channel}`, { title, keep_days: days ?? 0, keep_event_days: eventDays ?? 0 }),
  /** What the channel shows from now on is an event. */
  markEvent: (channel: number, seconds: number) => call<void>('POST', `/channels/${channel}/event`, { seconds }),
  cameras: () => call<Camera[]>('GET', '/cameras'),
  addCamera: (input: CameraInput) => call<Camera>('POST', '/cameras', input),
  editCamera: (channel: number, input: CameraInput) => call<Camera>('PUT', `/cameras/${channel}`, input),
  removeCamera: (channel: number) => call<void>('DELETE', `/cameras/${channel}`),

  timeline: (startMs: number, endMs: number, channel: number | null, signal?: AbortSignal) =>
    call<Timeline>('GET', `/timeline?${range(startMs, endMs)}${channel === null ? '' : `&channel=${channel}`}`, undefined, signal),
  recording: (channel: number, startMs: number, endMs: number, signal?: AbortSignal) =>
    call<Recording>('GET', `/channels/${channel}/recording?${range(startMs, endMs)}`, undefined, signal),

  streamKeys: () => call<StreamKey[]>('GET', '/stream-keys'),
  addStreamKey: (name: string, replay: boolean) => call<NewStreamKey>('POST', '/stream-keys', { name, replay }),
  removeStreamKey: (name: string) => call<void>('DELETE', `/stream-keys/${encodeURIComponent(name)}`),

  update: () => call<Update>('GET', '/update'),
  installFromUsb: (input: { device: string; file: string; downgrade: boolean }) => call<void>('POST', '/update/usb', input, undefined, LONG_WORK_MS),
  cancelUpdate: () => call<void>('DELETE', '/update'),
  showPresenceCode: () => call<void>('POST', '/update/presence'),
  setOwnerKey: (input: { public_key: string; code: string }) => call<void>('PUT', '/update/owner-key', input),
  removeOwnerKey: (input: { code: string }) => call<void>('DELETE', '/update/owner-key', input),
  formatDisk: (device: string, encrypt: boolean | null) => call<void>('POST', `/disks/${encodeURIComponent(device)}/format`, { confirm: 'ERASE', ...chosen(encrypt) }, undefined, LONG_WORK_MS),

  newRecoveryKey: (password: string) => call<{ recovery_key: string }>('POST', '/storage/recovery-key', { password }),
  unlockDisk: (path: string, recovery_key: string) => call<void>('POST', '/storage/unlock', { path, recovery_key: recovery_key.replace(/\s+/g, ' ').trim() }),
  eraseFootage: (path: string, encrypt: boolean | null) => call<void>('POST', '/storage/erase', { path, confirm: 'ERASE', ...chosen(encrypt) }, undefined, LONG_WORK_MS),

  ledger: (before: number | null, signal?: AbortSignal) => call<Ledger>('GET', `/ledger${before === null ? '' : `?before=${before}`}`, undefined, signal),

  settings: () => call<Settings>('GET', '/settings'),
  saveSettings: (settings: Settings) => call<Settings>('PUT', '/settings', settings),
}

/** Address of a recording as a movie; with `download` the recorder names the file. */
export function movieUrl(channel: number, startMs: number, endMs: number, download = false): string {
  return `${BASE}/channels/${channel}/recording.mp4?${range(startMs, endMs)}${download ? '&download=1' : ''}`
}

/** Address of several channels as one file: an MP4 with a track for each stream, or a zip with an MP4 for each channel. */
export function exportUrl(channels: readonly number[], startMs: number, endMs: number, kind: 'mp4' | 'zip'): string {
  return `${BASE}/export.${kind}?${channels.map((channel) => `channel=${channel}&`).join('')}${range(startMs, endMs)}`
}

/** Address of a live stream (WebSocket). */
export function liveUrl(channel: number, kind: StreamKind, audio: boolean): string {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:'
  return `${scheme}//${location.host}${BASE}/channels/${channel}/${kind}/live?audio=${audio ? 1 : 0}`
}

/** Address of the server-sent events. */
export const UPDATES_URL = `${BASE}/updates`

/** The words for any failure. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : 'Something failed that should not. Reload the page.'
}
