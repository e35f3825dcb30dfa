// The only way to the recorder's HTTP API: JSON, session cookie, CSRF header, and one error type for everything that fails.
import type {
  Camera, CameraInput, Channel, NewStreamKey, Recording, RecorderState, Session, Settings, StreamKey, StreamKind, Timeline,
} from './views'
import { rfc3339 } from './time'

const BASE = '/api/v1'
/** A recorder on the same network answers in milliseconds; this long means it is gone. */
const ANSWER_WITHIN_MS = 20_000

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
  const retry = Number(answer.headers.get('Retry-After'))
  const retryAfterSec = Number.isFinite(retry) && retry > 0 ? retry : null
  try {
    const body = (await answer.json()) as { error?: { code?: string; message?: string; field?: string } }
    if (body.error?.message) {
      return new ApiError(answer.status, body.error.code ?? 'unknown', body.error.message, body.error.field ?? null, retryAfterSec)
    }
  } catch {
    // Not JSON: something between us and the recorder answered.
  }
  return new ApiError(answer.status, 'unknown', `The recorder could not do this (answer ${answer.status}). Try again.`, null, retryAfterSec)
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  if (method !== 'GET' && csrf) headers['X-CSRF-Token'] = csrf
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), ANSWER_WITHIN_MS)
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
    return answer.status === 204 ? (undefined as T) : ((await answer.json()) as T)
  } catch (error) {
    if (error instanceof ApiError) throw error
    if (signal?.aborted) throw new ApiError(0, 'aborted', 'Stopped.')
    throw new ApiError(0, 'network', 'The recorder does not answer. Check that it is on and that this device is on its network.')
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function range(startMs: number, endMs: number): string {
  return `start=${encodeURIComponent(rfc3339(startMs))}&end=${encodeURIComponent(rfc3339(endMs))}`
}

export const api = {
  state: () => call<RecorderState>('GET', '/state'),
  claim: (input: { setup_code: string; user: string; password: string }) => call<Session>('POST', '/claim', input),
  session: () => call<Session>('GET', '/session'),
  logIn: (input: { user: string; password: string }) => call<Session>('POST', '/session', input),
  logOut: () => call<void>('DELETE', '/session'),

  rename: (channel: number, title: string) => call<Channel>('PUT', `/channels/${channel}`, { title }),
  cameras: () => call<Camera[]>('GET', '/cameras'),
  addCamera: (input: CameraInput) => call<Camera>('POST', '/cameras', input),
  editCamera: (channel: number, input: CameraInput) => call<Camera>('PUT', `/cameras/${channel}`, input),
  removeCamera: (channel: number) => call<void>('DELETE', `/cameras/${channel}`),

  timeline: (startMs: number, endMs: number, channel: number | null, signal?: AbortSignal) =>
    call<Timeline>('GET', `/timeline?${range(startMs, endMs)}${channel === null ? '' : `&channel=${channel}`}`, undefined, signal),
  recording: (channel: number, startMs: number, endMs: number, signal?: AbortSignal) =>
    call<Recording>('GET', `/channels/${channel}/recording?${range(startMs, endMs)}`, undefined, signal),

  streamKeys: () => call<StreamKey[]>('GET', '/stream-keys'),
  addStreamKey: (name: string) => call<NewStreamKey>('POST', '/stream-keys', { name }),
  removeStreamKey: (name: string) => call<void>('DELETE', `/stream-keys/${encodeURIComponent(name)}`),

  settings: () => call<Settings>('GET', '/settings'),
  saveSettings: (settings: Settings) => call<Settings>('PUT', '/settings', settings),
}

/** Address of a recording as a movie; with `download` the recorder names the file. */
export function movieUrl(channel: number, startMs: number, endMs: number, download = false): string {
  return `${BASE}/channels/${channel}/recording.mp4?${range(startMs, endMs)}${download ? '&download=1' : ''}`
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
