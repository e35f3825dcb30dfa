// One live picture: WebSocket in, Media Source out, near the live edge, back by itself after every loss.
// The protocol: a text `init` with the MIME type, a binary init segment, then one binary fragment per access unit;
// a new `init` on a change of format; `waiting` while there is nothing, `lost` when groups of pictures were left out.
// The last picture stays on the element while it is tried again; nothing here draws or speaks.
import { Backoff } from './backoff'
import { countsAnew, followEdge, growingRange, smoothFrameSec, type Range } from './liveedge'

export type PictureState =
  /** Not asked to show anything. */
  | 'stopped'
  /** Connecting or waiting for the first picture. */
  | 'starting'
  | 'playing'
  /** Connected, but the last picture is old. */
  | 'stale'
  /** The connection is lost and will be tried again. */
  | 'reconnecting'
  /** This browser has no decoder; not tried again. */
  | 'unsupported'

export interface PictureReport {
  state: PictureState
  /** MIME type of the stream, once known. */
  mime: string | null
  /** Time of the last picture by the clock given, once there was one. */
  lastPictureMs: number | null
}

/** A look at the buffer this often: four times within the second that the live edge may be away. */
const WATCH_EVERY_MS = 250
/** No picture for this long is said to the viewer. */
const STALE_AFTER_MS = 4_000
/** No fragment for this long although the stream had begun: connect anew. */
const RECONNECT_AFTER_MS = 10_000
/** Fragments come but the picture stands: first seek, later rebuild. */
const STUCK_SEEK_MS = 2_500
const STUCK_REBUILD_MS = 7_000
/** Fragments held while the source buffer is busy; more means that the decoder cannot follow. */
const MAX_QUEUE_BYTES = 32 << 20
/** A page that is hidden for this long watches no more, and must not be counted as watching. */
const HIDDEN_AFTER_MS = 20_000
/** A codec that cannot be shown may be changed at the camera: look again. */
const UNSUPPORTED_RETRY_MS = 30_000
/** Kept when the browser says that its buffer is full. */
const KEEP_WHEN_FULL_SEC = 5

interface InitText {
  type: 'init'
  mime: string
}

type Source = typeof MediaSource

/** Media Source Extensions, or what iPhones have instead. */
function sourceType(): Source | null {
  const managed = (globalThis as { ManagedMediaSource?: Source }).ManagedMediaSource
  return globalThis.MediaSource ?? managed ?? null
}

export function canPlayLive(mime: string): boolean {
  return sourceType()?.isTypeSupported(mime) ?? false
}

export class LivePlayer {
  readonly #video: HTMLVideoElement
  readonly #report: (report: PictureReport) => void
  readonly #keepStill: () => void
  readonly #clock: () => number
  readonly #backoff = new Backoff()

  #url: string | null = null
  #socket: WebSocket | null = null
  #retry: ReturnType<typeof setTimeout> | undefined
  #watch: ReturnType<typeof setInterval> | undefined
  #hidden: ReturnType<typeof setTimeout> | undefined

  #source: MediaSource | null = null
  #buffer: SourceBuffer | null = null
  #objectUrl: string | null = null
  #mime: string | null = null
  #queue: ArrayBuffer[] = []
  #queueBytes = 0
  #ranges: Range[] = []
  #live: Range | null = null
  #frameSec = 0
  #rate = 1

  #state: PictureState = 'stopped'
  #waiting = false
  #openedMs = 0
  #fragmentMs = 0
  #pictureMs: number | null = null
  #position = -1
  #movedMs = 0
  #sought = false

  /** `keepStill` is called before the element is emptied, while its last picture can still be drawn. */
  constructor(video: HTMLVideoElement, report: (report: PictureReport) => void, keepStill: () => void, clock: () => number) {
    this.#video = video
    this.#report = report
    this.#keepStill = keepStill
    this.#clock = clock
    document.addEventListener('visibilitychange', this.#onVisibility)
    video.addEventListener('error', this.#onVideoError)
    this.#listenForPictures()
  }

  /** Shows the stream at this address until `stop`. */
  start(url: string): void {
    if (this.#url === url) return
    this.stop()
    this.#url = url
    this.#backoff.succeeded()
    this.#connect()
    this.#watch = setInterval(this.#look, WATCH_EVERY_MS)
  }

  /** Ends the connection; the last picture stays. */
  stop(): void {
    this.#url = null
    clearInterval(this.#watch)
    clearTimeout(this.#retry)
    clearTimeout(this.#hidden)
    this.#closeSocket()
    this.#video.pause()
    this.#set('stopped')
  }

  /** Ends everything. */
  destroy(): void {
    this.stop()
    this.#video.removeEventListener('error', this.#onVideoError)
    document.removeEventListener('visibilitychange', this.#onVisibility)
    this.#detach()
    this.#video.removeAttribute('src')
    this.#video.load()
  }

  // Connection

  #connect(): void {
    const url = this.#url
    if (url === null) return
    this.#closeSocket()
    this.#waiting = false
    this.#openedMs = performance.now()
    this.#fragmentMs = 0
    this.#queue = []
    this.#queueBytes = 0
    if (this.#state === 'stopped') this.#set('starting')
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (socket !== this.#socket) return
      if (typeof event.data === 'string') this.#onText(event.data)
      else this.#onBinary(event.data)
    }
    socket.onclose = () => { if (socket === this.#socket) this.#reconnect() }
  }

  #onVisibility = (): void => {
    clearTimeout(this.#hidden)
    if (this.#url === null) return
    if (document.hidden) {
      this.#hidden = setTimeout(() => {
        clearTimeout(this.#retry)
        this.#closeSocket()
      }, HIDDEN_AFTER_MS)
    } else if (!this.#socket) {
      clearTimeout(this.#retry)
      if (this.#state !== 'unsupported') this.#set('starting')
      this.#connect()
    }
  }

  #closeSocket(): void {
    const socket = this.#socket
    this.#socket = null
    socket?.close()
  }

  #reconnect(): void {
    this.#closeSocket()
    clearTimeout(this.#retry)
    if (this.#url === null || this.#state === 'unsupported') return
    this.#set('reconnecting')
    this.#retry = setTimeout(() => this.#connect(), this.#backoff.next())
  }

  #onText(text: string): void {
    let message: { type?: string }
    try {
      message = JSON.parse(text) as { type?: string }
    } catch {
      return
    }
    if (message.type === 'init') this.#begin((message as InitText).mime)
    else if (message.type === 'waiting') this.#waiting = true
    // `lost` needs nothing: the next fragment begins a group of pictures, and the edge control jumps over the hole.
  }

  #onBinary(data: ArrayBuffer): void {
    this.#waiting = false
    this.#fragmentMs = performance.now()
    this.#queue.push(data)
    this.#queueBytes += data.byteLength
    if (this.#queueBytes > MAX_QUEUE_BYTES) {
      this.#rebuild()
      return
    }
    this.#pump()
  }

  // Media source

  #begin(mime: string): void {
    const Source = sourceType()
    if (!Source?.isTypeSupported(mime)) {
      this.#mime = mime
      this.#closeSocket()
      this.#set('unsupported')
      clearTimeout(this.#retry)
      this.#retry = setTimeout(() => this.#connect(), UNSUPPORTED_RETRY_MS)
      return
    }
    if (this.#state === 'unsupported') this.#set('starting')
    const usable = this.#source?.readyState === 'open' && this.#buffer !== null && this.#video.error === null
    if (usable && mime === this.#mime) return
    this.#keepStill()
    this.#detach()
    this.#mime = mime
    const source = new Source()
    this.#source = source
    source.addEventListener('sourceopen', () => {
      if (source !== this.#source || this.#buffer) return
      try {
        this.#buffer = source.addSourceBuffer(mime)
      } catch {
        this.#set('unsupported')
        return
      }
      this.#buffer.addEventListener('updateend', this.#onUpdateEnd)
      this.#pump()
    })
    this.#objectUrl = URL.createObjectURL(source)
    this.#video.disableRemotePlayback = true
    this.#video.src = this.#objectUrl
    // New elements begin at 0; the edge control finds the place as soon as there is a range.
    void this.#video.play().catch(() => {})
  }

  #detach(): void {
    this.#buffer?.removeEventListener('updateend', this.#onUpdateEnd)
    this.#buffer = null
    this.#source = null
    this.#mime = null
    this.#queue = []
    this.#queueBytes = 0
    this.#ranges = []
    this.#live = null
    this.#frameSec = 0
    if (this.#objectUrl) URL.revokeObjectURL(this.#objectUrl)
    this.#objectUrl = null
  }

  /** Fresh connection and fresh media source: for everything that cannot be mended. */
  #rebuild(): void {
    this.#detach()
    this.#reconnect()
  }

  #pump(): void {
    const buffer = this.#buffer
    if (!buffer || buffer.updating || this.#queue.length === 0) return
    const data = this.#queue.length === 1 ? this.#queue[0]! : joined(this.#queue, this.#queueBytes)
    try {
      buffer.appendBuffer(data)
      this.#queue = []
      this.#queueBytes = 0
    } catch (error) {
      if (error instanceof DOMException && error.name === 'QuotaExceededError') this.#trim(this.#video.currentTime - KEEP_WHEN_FULL_SEC)
      else this.#rebuild()
    }
  }

  #trim(before: number): void {
    const buffer = this.#buffer
    if (!buffer || buffer.updating || !(before > 0)) return
    try {
      buffer.remove(0, before)
    } catch {
      this.#rebuild()
    }
  }

  #onUpdateEnd = (): void => {
    const buffer = this.#buffer
    if (!buffer || this.#source?.readyState !== 'open') return
    let ranges: Range[]
    try {
      ranges = Array.from({ length: buffer.buffered.length }, (_, i) => ({ start: buffer.buffered.start(i), end: buffer.buffered.end(i) }))
    } catch {
      return
    }
    const before = this.#live
    this.#live = growingRange(this.#ranges, ranges)
    this.#ranges = ranges
    if (before && countsAnew(before, this.#live)) {
      // Two timelines in one buffer disturb each other (most fragments of the earlier time are dropped): begin afresh.
      this.#rebuild()
      return
    }
    if (before && this.#live && before.start === this.#live.start) {
      this.#frameSec = smoothFrameSec(this.#frameSec, this.#live.end - before.end)
    }
    // The first picture should not wait for the next look.
    if (!before) this.#follow()
    this.#pump()
  }

  #onVideoError = (): void => {
    if (this.#url !== null && this.#video.error) this.#rebuild()
  }

  // Watching

  #look = (): void => {
    const nowMs = performance.now()
    this.#follow()
    // Hidden pages are slowed by the browser; judging them would be unfair.
    if (document.hidden) this.#movedMs = nowMs
    else this.#judge(nowMs)
  }

  #follow(): void {
    const live = this.#live
    if (!live || this.#url === null) return
    const video = this.#video
    const decision = followEdge({ position: video.currentTime, live, frameSec: this.#frameSec, rate: this.#rate })
    if (decision.seek !== null && !video.seeking) video.currentTime = decision.seek
    if (decision.rate !== video.playbackRate) video.playbackRate = decision.rate
    this.#rate = decision.rate
    if (decision.trimBefore !== null) this.#trim(decision.trimBefore)
    if (video.paused) {
      void video.play().catch((error: unknown) => {
        // Sound without a gesture is refused by browsers; the picture matters more.
        if (error instanceof DOMException && error.name === 'NotAllowedError') video.muted = true
      })
    }
  }

  #judge(nowMs: number): void {
    const video = this.#video
    if (video.currentTime !== this.#position) {
      this.#position = video.currentTime
      if (!this.#sought) this.#movedMs = nowMs
      this.#sought = false
    }
    if (!this.#socket || this.#state === 'unsupported') return
    const sinceFragment = this.#fragmentMs === 0 ? nowMs - this.#openedMs : nowMs - this.#fragmentMs
    if (sinceFragment > RECONNECT_AFTER_MS && !this.#waiting) {
      this.#reconnect()
      return
    }
    const stillFor = nowMs - this.#movedMs
    const ahead = this.#live ? this.#live.end - video.currentTime : 0
    if (ahead > 0.5 && sinceFragment < 1_000 && this.#state !== 'starting') {
      if (stillFor > STUCK_REBUILD_MS) {
        this.#movedMs = nowMs
        this.#rebuild()
        return
      }
      if (stillFor > STUCK_SEEK_MS && this.#live) {
        this.#sought = true
        video.currentTime = Math.max(this.#live.start, this.#live.end - 0.05)
      }
    }
    const limit = Math.max(STALE_AFTER_MS, 4_000 * this.#frameSec)
    if (this.#state === 'playing' && Math.min(stillFor, sinceFragment) > limit) this.#set('stale')
  }

  #listenForPictures(): void {
    const video = this.#video
    const seen = () => {
      if (this.#url === null || !this.#socket || this.#fragmentMs === 0) return
      this.#pictureMs = this.#clock()
      if (this.#state !== 'playing') {
        this.#backoff.succeeded()
        this.#set('playing')
      }
    }
    if (typeof video.requestVideoFrameCallback === 'function') {
      const each = () => {
        seen()
        video.requestVideoFrameCallback(each)
      }
      video.requestVideoFrameCallback(each)
    } else {
      video.addEventListener('timeupdate', () => { if (video.readyState >= 2) seen() })
    }
  }

  #set(state: PictureState): void {
    if (state === this.#state) return
    this.#state = state
    this.#report({ state, mime: this.#mime, lastPictureMs: this.#pictureMs })
  }
}

function joined(parts: readonly ArrayBuffer[], bytes: number): ArrayBuffer {
  const whole = new Uint8Array(bytes)
  let at = 0
  for (const part of parts) {
    whole.set(new Uint8Array(part), at)
    at += part.byteLength
  }
  return whole.buffer
}
