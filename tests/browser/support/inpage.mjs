// What runs inside every page under test: looking at pictures, noting the first ones, and reporting CSP violations.
import { readMark } from './mark.mjs'

/** Run in the page before its own scripts; must not refer to anything outside itself but `readMark`. */
function install() {
  const canvas = document.createElement('canvas')

  /** Samples of the picture that the element shows, one byte each; null while there is none. */
  function grey(video, columns, rows) {
    if (!video || video.readyState < 2 || video.videoWidth === 0) return null
    canvas.width = columns
    canvas.height = rows
    const context = canvas.getContext('2d', { willReadFrequently: true })
    context.drawImage(video, 0, 0, columns, rows, 0, 0, columns, rows)
    const rgba = context.getImageData(0, 0, columns, rows).data
    return Uint8Array.from({ length: columns * rows }, (_, i) => rgba[i * 4 + 1])
  }

  const look = {
    /** The mark that the element shows. */
    mark(video) {
      const samples = grey(video, 256, 112)
      return samples && readMark(samples, 256, 256)
    },
    /** A fingerprint of the shown picture (FNV-1a over its samples). */
    print(video) {
      const samples = grey(video, video?.videoWidth ?? 0, video?.videoHeight ?? 0)
      return samples && samples.reduce((hash, sample) => Math.imul(hash ^ sample, 0x01000193), 0x811c9dc5)
    },
    /** By channel: when its first live picture was there, in ms since the page was asked for. */
    first: {},
    /** The first picture of playback: its mark. */
    playback: null,
  }
  globalThis.look = look

  function watch() {
    for (const video of document.querySelectorAll('video[data-channel]')) {
      if (video.readyState >= 2 && video.currentTime > 0) look.first[video.dataset.channel] ??= performance.now()
    }
    if (!look.playback) {
      const video = document.querySelector('[data-testid="playback-video"]')
      if (video && video.readyState >= 2 && !video.seeking) look.playback = { mark: look.mark(video), atMs: performance.now() }
    }
    requestAnimationFrame(watch)
  }
  requestAnimationFrame(watch)

  addEventListener('securitypolicyviolation', (event) => {
    console.error(`CSP: ${event.effectiveDirective} refused ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`)
  })
}

export const script = `{ const readMark = ${readMark}; (${install})(); }`
