// Media time <-> wall-clock time of a recording, through its pieces (runs of footage in it). Pure.
// Between two pieces lies a gap: media time may go on there, but there is no footage.
import type { Recording } from './views'

export interface Piece {
  startMs: number
  endMs: number
  mediaSec: number
}

/** Where a media time lies. */
export interface Place {
  wallMs: number
  /** Set when the time lies after the last frame of a piece: where the next footage begins, or null at the end. */
  gap: { fromMs: number; next: Piece | null } | null
}

/** Half a frame at 25/s: a place this near to a piece's end is still in it. */
const END_SLACK_MS = 20
/** Times of pieces are whole milliseconds, media times are not: a frame this near before a piece begins it. */
const START_SLACK_SEC = 0.01

export function piecesOf(recording: Pick<Recording, 'pieces'>): Piece[] {
  return recording.pieces
    .map((piece) => ({ startMs: Date.parse(piece.start), endMs: Date.parse(piece.end), mediaSec: piece.media_start_sec }))
    .sort((a, b) => a.startMs - b.startMs)
}

/** Wall time of a media time. */
export function placeOf(pieces: readonly Piece[], mediaSec: number): Place {
  const first = pieces[0]
  if (!first) return { wallMs: 0, gap: null }
  const index = Math.max(0, pieces.findLastIndex((piece) => piece.mediaSec <= mediaSec + START_SLACK_SEC))
  const piece = pieces[index] ?? first
  const wallMs = piece.startMs + Math.max(0, mediaSec - piece.mediaSec) * 1000
  if (wallMs <= piece.endMs + END_SLACK_MS) return { wallMs, gap: null }
  return { wallMs: piece.endMs, gap: { fromMs: piece.endMs, next: pieces[index + 1] ?? null } }
}

/** Media time of a wall time; in a gap the start of the next piece, after the end null. */
export function mediaOf(pieces: readonly Piece[], wallMs: number): number | null {
  for (const piece of pieces) {
    if (wallMs < piece.startMs) return piece.mediaSec
    if (wallMs < piece.endMs) return piece.mediaSec + (wallMs - piece.startMs) / 1000
  }
  return null
}

/** As `mediaOf`, but from a gap or the end back: the end of the piece before; before the start null. */
export function mediaBefore(pieces: readonly Piece[], wallMs: number, frameRate: number): number | null {
  const piece = pieces.findLast((one) => one.startMs <= wallMs)
  if (!piece) return null
  if (wallMs < piece.endMs) return piece.mediaSec + (wallMs - piece.startMs) / 1000
  return lastFrameOf(piece, frameRate)
}

/** Media time inside the last frame of a piece. */
export function lastFrameOf(piece: Piece, frameRate: number): number {
  return Math.max(piece.mediaSec, piece.mediaSec + (piece.endMs - piece.startMs) / 1000 - 0.5 / frameRate)
}

/** Media time of the frame after or before the one shown (`frameSec` is its presentation time): the middle of it. */
export function stepTo(frameSec: number, frameRate: number, direction: 1 | -1): number {
  const one = 1 / (frameRate > 0 ? frameRate : 25)
  return Math.max(0, frameSec + (direction > 0 ? 1.5 : -0.5) * one)
}
