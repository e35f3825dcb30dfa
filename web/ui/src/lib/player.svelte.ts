// Playing recordings: windows of ten minutes on two video elements, wall time in and out, every speed, frame by frame.
// The page says what is wanted (channel, time, play, speed); this finds the window, maps media time through its pieces,
// opens the next window before the present one ends, and steps over gaps with a word about them.
import { api, ApiError, movieUrl, wordsOf } from './api'
import type { Footage } from './footage.svelte'
import { lastFrameOf, mediaBefore, mediaOf, piecesOf, placeOf, stepTo, type Piece } from './mediatime'
import { mimeCodec, pictureMime } from './text'
import { clock, duration } from './time'
import { settings } from './settings.svelte'
import { recorderNow } from './now.svelte'

/** A window reaches this far before and after the asked time. Ten minutes in all: its frame tables stay small. */
const BEFORE_MS = 120_000
const AFTER_MS = 480_000
/** The next window is opened when this much of the present one is left to watch. */
const AHEAD_SEC = 20
/**
 * Footage younger than this may still be on its way to the disk; a window that ends in it would change between two
 * requests for its parts.
 */
export const SETTLED_MS = 4_000
/** A movie is not expected to stand for longer than this without the viewer being told. */
const BUFFERING_WORD_MS = 400

export const SPEEDS = [-16, -8, -4, -2, -1, 0.5, 1, 2, 4, 8, 16] as const

export type Phase = 'idle' | 'loading' | 'ready' | 'no_footage' | 'unplayable' | 'failed'

interface Loaded {
  channel: number
  /** As asked; the next window begins at the end. */
  fromMs: number
  toMs: number
  pieces: Piece[]
  frameRate: number
  mime: string
}

export class Player {
  channel = $state(0)
  wallMs = $state(0)
  playing = $state(false)
  speed = $state<number>(1)
  muted = $state(true)
  phase = $state<Phase>('idle')
  buffering = $state(false)
  /** Which of the two video elements is seen. */
  active = $state<0 | 1>(0)
  /** A passing word: a gap that was skipped, the newest footage reached. */
  note = $state<string | null>(null)
  failure = $state('')
  codec = $state('')
  /** Whether the movie has sound that browsers play. */
  hasSound = $state(false)
  /** Nearest to a time without footage: the end of what is before it, the start of what comes after. */
  nearest = $state<{ previousMs: number | null; nextMs: number | null }>({ previousMs: null, nextMs: null })
  atNewest = $state(false)

  readonly #footage: Footage
  #videos: [HTMLVideoElement, HTMLVideoElement] | null = null
  #loaded: [Loaded | null, Loaded | null] = [null, null]
  #startSec: [number, number] = [0, 0]
  #turn = 0
  #preparing = false
  #frameSec = 0
  #raf = 0
  #steppedMs = 0
  #wantedSec: number | null = null
  /** Sought, and its frame not yet seen: quick steps count on from here. */
  #soughtSec: number | null = null
  #scrubbing = false
  #noteTimer: ReturnType<typeof setTimeout> | undefined
  #bufferTimer: ReturnType<typeof setTimeout> | undefined

  constructor(footage: Footage) {
    this.#footage = footage
  }

  /** Takes the two elements; gives back what ends it all. */
  attach(videos: [HTMLVideoElement, HTMLVideoElement]): () => void {
    this.#videos = videos
    const undo: (() => void)[] = []
    videos.forEach((video, slot) => {
      const on = (name: string, action: () => void) => {
        const listener = () => { if (slot === this.active) action() }
        video.addEventListener(name, listener)
        undo.push(() => video.removeEventListener(name, listener))
      }
      video.addEventListener('loadedmetadata', () => {
        // Not every browser takes a time that was set before it knew the movie.
        const sec = this.#startSec[slot]
        if (sec !== undefined && Math.abs(video.currentTime - sec) > 0.5) video.currentTime = sec
      })
      on('ended', () => void this.#onEnd())
      on('seeked', () => this.#onSeeked())
      on('error', () => this.#onError())
      on('waiting', () => this.#setBuffering(true))
      on('playing', () => this.#setBuffering(false))
      on('canplay', () => this.#setBuffering(false))
      this.#watchFrames(video, slot)
    })
    this.#raf = requestAnimationFrame(this.#tick)
    return () => {
      this.#turn++
      cancelAnimationFrame(this.#raf)
      clearTimeout(this.#noteTimer)
      clearTimeout(this.#bufferTimer)
      undo.forEach((action) => action())
      videos.forEach(empty)
      this.#videos = null
    }
  }

  get #video(): HTMLVideoElement | null {
    return this.#videos?.[this.active] ?? null
  }

  get #window(): Loaded | null {
    return this.#loaded[this.active]
  }

  get frameRate(): number {
    return this.#window?.frameRate ?? 25
  }

  /**
   * Shows the moment; within the loaded window by seeking, else through a new window. Without footage at that moment
   * the next is shown, or with `back` the last before it.
   */
  async open(channel: number, ms: number, play: boolean, back = false): Promise<void> {
    const turn = ++this.#turn
    this.#scrubbing = false
    this.atNewest = false
    const changed = channel !== this.channel
    this.channel = channel
    this.wallMs = ms
    this.playing = play
    if (changed) this.note = null
    const window = this.#window
    if (window && window.channel === channel && this.phase === 'ready' && ms >= window.fromMs && ms < window.toMs) {
      const media = this.#mediaFor(window, ms, back)
      if (media !== null) {
        if (!back) this.#sayGap(window.pieces, ms)
        this.#seek(media)
        this.#applyPlaying()
        return
      }
    }
    this.phase = 'loading'
    this.#videos?.forEach((video) => video.pause())
    try {
      const loaded = await this.#ask(channel, wholeSecond(ms - BEFORE_MS), wholeSecond(ms + AFTER_MS))
      if (turn !== this.#turn) return
      if (loaded) this.#show(loaded, ms, back)
      else await this.#sayNoFootage(channel, ms, turn)
    } catch (error) {
      if (turn !== this.#turn) return
      this.failure = wordsOf(error)
      this.phase = 'failed'
    }
  }

  /** Follows the finger: seeks as fast as the element can, without opening windows. */
  scrub(ms: number): void {
    this.#scrubbing = true
    this.wallMs = ms
    const window = this.#window
    this.#video?.pause()
    if (!window || this.phase !== 'ready' || ms < window.fromMs || ms >= window.toMs) return
    const media = mediaOf(window.pieces, ms)
    if (media !== null) this.#seek(media)
  }

  #mediaFor(window: Loaded, ms: number, back: boolean): number | null {
    const media = back ? mediaBefore(window.pieces, ms, window.frameRate) : mediaOf(window.pieces, ms)
    if (media === null || back || window.pieces.every((piece) => piece.mediaSec !== media)) return media
    // The start of a piece: a little into its first frame, never the one before.
    return media + 0.25 / window.frameRate
  }

  async #ask(channel: number, fromMs: number, toMs: number): Promise<Loaded | null> {
    const to = Math.min(toMs, recorderNow() - SETTLED_MS)
    if (to - fromMs < 500) return null
    try {
      const info = await api.recording(channel, fromMs, to)
      const pieces = piecesOf(info)
      if (pieces.length === 0) return null
      return { channel, fromMs, toMs: to, pieces, frameRate: info.frame_rate ?? 25, mime: info.mime }
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null
      throw error
    }
  }

  #show(loaded: Loaded, ms: number, back = false): void {
    const video = this.#video
    if (!video) return
    this.codec = mimeCodec(loaded.mime)
    this.hasSound = /mp4a|opus/i.test(loaded.mime)
    if (video.canPlayType(pictureMime(loaded.mime)) === '') {
      this.#loaded[this.active] = loaded
      empty(video)
      this.phase = 'unplayable'
      return
    }
    const last = loaded.pieces.at(-1)!
    const media = this.#mediaFor(loaded, ms, back)
    if (media === null && recorderNow() - last.endMs > 60_000) {
      // The asked time lies after the footage of this window: say so by showing its end.
      this.#say(`No footage at ${this.#clock(ms)}. This is the last before it.`)
    } else if (media !== null && !back) {
      this.#sayGap(loaded.pieces, ms)
    }
    const at = media ?? Math.max(last.mediaSec, last.mediaSec + (last.endMs - last.startMs) / 1000 - 1)
    this.#loaded[this.active] = loaded
    this.#loaded[1 - this.active as 0 | 1] = null
    this.#wantedSec = this.#soughtSec = null
    this.#setBuffering(true)
    video.src = movieUrl(loaded.channel, loaded.fromMs, loaded.toMs)
    this.#startSec[this.active] = at
    video.currentTime = at
    this.#frameSec = at
    this.phase = 'ready'
    this.#applyPlaying()
  }

  async #sayNoFootage(channel: number, ms: number, turn: number): Promise<void> {
    const [previous, next] = await Promise.all([
      this.#footage.neighbour(channel, ms, -1, recorderNow()),
      this.#footage.neighbour(channel, ms, 1, recorderNow()),
    ])
    if (turn !== this.#turn) return
    this.nearest = { previousMs: previous ? Math.min(previous.endMs, ms) : null, nextMs: next?.startMs ?? null }
    this.playing = false
    this.phase = 'no_footage'
  }

  // Playing

  toggle(): void {
    if (this.playing) this.pause()
    else this.play()
  }

  play(): void {
    if (this.phase === 'no_footage' || this.phase === 'unplayable') return
    this.playing = true
    if (this.speed < 0) this.speed = 1
    if (this.atNewest) void this.open(this.channel, this.wallMs, true)
    else this.#applyPlaying()
  }

  pause(): void {
    this.playing = false
    if (this.speed < 0) this.speed = 1
    this.#video?.pause()
  }

  faster(): void {
    if (!this.playing && this.speed === 1) this.#go(1)
    else this.#go(SPEEDS.find((speed) => speed > this.speed) ?? 16)
  }

  slower(): void {
    if (!this.playing && this.speed === 1) this.#go(-1)
    else this.#go(SPEEDS.findLast((speed) => speed < this.speed) ?? -16)
  }

  #go(speed: number): void {
    this.speed = speed
    this.playing = true
    this.#applyPlaying()
  }

  setMuted(muted: boolean): void {
    this.muted = muted
    this.#videos?.forEach((video) => { video.muted = muted })
  }

  #applyPlaying(): void {
    const video = this.#video
    if (!video || this.phase !== 'ready') return
    video.muted = this.muted
    if (this.playing && this.speed > 0) {
      video.playbackRate = this.speed
      void video.play().catch((error: unknown) => {
        if (error instanceof DOMException && error.name === 'NotAllowedError') {
          if (!video.muted) this.setMuted(true)
          void video.play().catch(() => { this.playing = false })
        }
      })
    } else {
      video.pause()
      this.#steppedMs = performance.now()
    }
  }

  /** One frame on or back. */
  step(direction: 1 | -1): void {
    const window = this.#window
    if (!window || this.phase !== 'ready') return
    this.pause()
    const sought = this.#wantedSec ?? this.#soughtSec
    const target = sought === null ? stepTo(this.#frameSec, window.frameRate, direction) : Math.max(0, sought + direction / window.frameRate)
    const first = window.pieces[0]!
    if (direction < 0 && target <= first.mediaSec && this.#frameSec <= first.mediaSec + 0.5 / window.frameRate) {
      void this.open(this.channel, first.startMs - 1000 / window.frameRate, false, true)
      return
    }
    const place = placeOf(window.pieces, target)
    if (place.gap) {
      if (direction > 0 && place.gap.next) this.#skip(window, place.gap)
      else if (direction > 0) void this.open(this.channel, window.toMs, false)
      else this.#seek(this.#endOf(window, place.wallMs))
      return
    }
    this.#seek(target)
  }

  /** Jumps by some milliseconds of wall time. */
  jump(byMs: number): void {
    void this.open(this.channel, Math.min(this.wallMs + byMs, recorderNow() - SETTLED_MS), this.playing, byMs < 0)
  }

  async neighbour(direction: 1 | -1): Promise<void> {
    const run = await this.#footage.neighbour(this.channel, this.wallMs, direction, recorderNow())
    if (run) await this.open(this.channel, run.startMs, this.playing || this.phase === 'no_footage')
    else this.#say(direction > 0 ? 'There is no later footage with a gap before it.' : 'There is no earlier footage.')
  }

  // Inside a window

  #seek(sec: number): void {
    const video = this.#video
    if (!video) return
    this.#soughtSec = sec
    if (video.seeking) {
      this.#wantedSec = sec
      return
    }
    this.#wantedSec = null
    video.currentTime = sec
  }

  #onSeeked(): void {
    if (this.#wantedSec === null) return
    const sec = this.#wantedSec
    this.#wantedSec = null
    if (this.#video) this.#video.currentTime = sec
  }

  /** Media time of the last frame of the piece that ends at `endMs`. */
  #endOf(window: Loaded, endMs: number): number {
    const piece = window.pieces.find((one) => one.endMs === endMs) ?? window.pieces[0]!
    return lastFrameOf(piece, window.frameRate)
  }

  #watchFrames(video: HTMLVideoElement, slot: number): void {
    const seen = (sec: number) => {
      if (slot !== this.active || this.phase !== 'ready' || this.#scrubbing || this.#wantedSec !== null) return
      this.#frameSec = sec
      if (!video.seeking) this.#soughtSec = null
      const window = this.#window
      if (window) this.wallMs = placeOf(window.pieces, sec).wallMs
    }
    if (typeof video.requestVideoFrameCallback === 'function') {
      const each = (_: number, frame: VideoFrameCallbackMetadata) => {
        seen(frame.mediaTime)
        if (this.#videos) video.requestVideoFrameCallback(each)
      }
      video.requestVideoFrameCallback(each)
    } else {
      video.addEventListener('timeupdate', () => seen(video.currentTime))
    }
  }

  #tick = (): void => {
    this.#raf = requestAnimationFrame(this.#tick)
    const video = this.#video
    const window = this.#window
    if (!video || !window || this.phase !== 'ready' || this.#scrubbing) return
    if (this.playing && this.speed < 0) {
      this.#stepBack(video, window)
      return
    }
    if (video.seeking) return
    const place = placeOf(window.pieces, video.currentTime)
    if (this.playing && place.gap) {
      if (place.gap.next) this.#skip(window, place.gap)
      else void this.#onEnd()
      return
    }
    const last = window.pieces.at(-1)!
    const leftSec = last.mediaSec + (last.endMs - last.startMs) / 1000 - video.currentTime
    if (this.playing && leftSec < AHEAD_SEC * Math.max(1, this.speed)) void this.#prepare(window)
  }

  #stepBack(video: HTMLVideoElement, window: Loaded): void {
    const nowMs = performance.now()
    if (video.seeking || nowMs - this.#steppedMs < 60) return
    const target = video.currentTime + (this.speed * (nowMs - this.#steppedMs)) / 1000
    this.#steppedMs = nowMs
    const first = window.pieces[0]!
    if (target < first.mediaSec) {
      const before = first.startMs - 200
      void this.#footage.neighbour(this.channel, before, -1, recorderNow()).then((run) => {
        if (!this.playing || this.speed >= 0 || this.phase !== 'ready') return
        if (!run) {
          this.pause()
          this.#say('This is the oldest footage.')
        } else {
          void this.open(this.channel, Math.min(before, run.endMs - 200), true)
        }
      })
      this.#steppedMs = nowMs + 400
      return
    }
    const place = placeOf(window.pieces, target)
    this.#seek(place.gap ? this.#endOf(window, place.wallMs) : target)
  }

  #skip(window: Loaded, gap: { fromMs: number; next: Piece | null }): void {
    if (!gap.next) return
    this.#say(`Skipped ${duration(gap.next.startMs - gap.fromMs)} without footage, ${this.#clock(gap.fromMs)} to ${this.#clock(gap.next.startMs)}.`)
    this.#seek(gap.next.mediaSec + 0.25 / window.frameRate)
  }

  // The next window

  async #prepare(window: Loaded): Promise<void> {
    const other = (1 - this.active) as 0 | 1
    const idle = this.#videos?.[other]
    if (this.#preparing || !idle || this.#loaded[other] !== null || recorderNow() - window.toMs < 4_000 + SETTLED_MS) return
    this.#preparing = true
    const turn = this.#turn
    try {
      const next = await this.#ask(window.channel, window.toMs, window.toMs + BEFORE_MS + AFTER_MS)
      if (turn !== this.#turn || !next) return
      this.#loaded[other] = next
      idle.muted = true
      idle.src = movieUrl(next.channel, next.fromMs, next.toMs)
      this.#startSec[other] = next.pieces[0]!.mediaSec
      idle.currentTime = next.pieces[0]!.mediaSec
    } catch {
      // Asked again at the end of this window, where a failure is said.
    } finally {
      this.#preparing = false
    }
  }

  async #onEnd(): Promise<void> {
    const window = this.#window
    if (!window || this.phase !== 'ready' || !this.playing) return
    const other = (1 - this.active) as 0 | 1
    const next = this.#loaded[other]
    const lastMs = window.pieces.at(-1)!.endMs
    if (next && next.channel === window.channel && next.fromMs === window.toMs && this.#videos) {
      const old = this.#videos[this.active]
      this.#sayBetween(lastMs, next.pieces[0]!.startMs)
      this.active = other
      this.#loaded[1 - other as 0 | 1] = null
      this.#frameSec = next.pieces[0]!.mediaSec
      this.#wantedSec = this.#soughtSec = null
      this.#applyPlaying()
      empty(old)
      return
    }
    const turn = ++this.#turn
    this.phase = 'loading'
    try {
      let following = await this.#ask(window.channel, window.toMs, window.toMs + BEFORE_MS + AFTER_MS)
      if (!following) {
        const run = await this.#footage.neighbour(window.channel, window.toMs, 1, recorderNow())
        if (run) following = await this.#ask(window.channel, run.startMs - 500, run.startMs + AFTER_MS)
      }
      if (turn !== this.#turn) return
      if (!following) {
        this.phase = 'ready'
        this.pause()
        this.atNewest = true
        return
      }
      this.#sayBetween(lastMs, following.pieces[0]!.startMs)
      this.#show(following, following.pieces[0]!.startMs)
    } catch (error) {
      if (turn !== this.#turn) return
      this.failure = wordsOf(error)
      this.phase = 'failed'
    }
  }

  // Words

  #onError(): void {
    const video = this.#video
    if (!video?.error || !video.hasAttribute('src')) return
    this.playing = false
    if (video.error.code === MediaError.MEDIA_ERR_DECODE) {
      this.failure = 'The picture could not be decoded here. The footage is kept; try another moment, or export it.'
    } else {
      this.failure = 'The footage did not arrive. It is kept on the recorder; check the connection and try again.'
    }
    this.phase = 'failed'
  }

  #setBuffering(on: boolean): void {
    clearTimeout(this.#bufferTimer)
    if (!on) this.buffering = false
    else this.#bufferTimer = setTimeout(() => { this.buffering = true }, BUFFERING_WORD_MS)
  }

  #clock(ms: number): string {
    return clock(ms, settings.zone)
  }

  #sayBetween(fromMs: number, toMs: number): void {
    if (toMs - fromMs > 2_000) this.#say(`Skipped ${duration(toMs - fromMs)} without footage, ${this.#clock(fromMs)} to ${this.#clock(toMs)}.`)
  }

  #sayGap(pieces: readonly Piece[], ms: number): void {
    const next = pieces.find((piece) => ms < piece.endMs)
    if (next && next.startMs - ms > 1_000) this.#say(`No footage at ${this.#clock(ms)}. The next begins at ${this.#clock(next.startMs)}.`)
  }

  #say(words: string): void {
    this.note = words
    clearTimeout(this.#noteTimer)
    this.#noteTimer = setTimeout(() => { this.note = null }, 6_000)
  }
}

/** Windows on whole seconds: the same address for the same ten minutes, whatever the millisecond asked. */
function wholeSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}

function empty(video: HTMLVideoElement): void {
  video.pause()
  if (!video.hasAttribute('src')) return
  video.removeAttribute('src')
  video.load()
}
