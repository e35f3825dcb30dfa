// Draws the timeline on a canvas: ruler, one row a channel, runs, gaps, range, now and playhead. Geometry is in timeline.ts.
import { clock, clockMinutes, dayName, offsetMs } from './time'
import { bar, endOf, gaps, stepFor, ticks, xOf, DAY, type Run, type View } from './timeline'

export const RULER_PX = 28

export interface Colours {
  ground: string
  surface: string
  raised: string
  line: string
  lineStrong: string
  text: string
  dim: string
  accent: string
  onAccent: string
  slate: string
  slateDim: string
  hatch: string
  sans: string
}

export interface Scene {
  view: View
  zone: string
  rowPx: number
  rows: readonly { channel: number; runs: readonly Run[]; chosen: boolean }[]
  playheadMs: number | null
  range: { startMs: number; endMs: number } | null
  hoverX: number | null
  nowMs: number
}

/** Reads the colours that hold on this element. */
export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element)
  const of = (name: string) => style.getPropertyValue(name).trim()
  return {
    ground: of('--ground'), surface: of('--surface'), raised: of('--raised'), line: of('--line'), lineStrong: of('--line-strong'),
    text: of('--text'), dim: of('--dim'), accent: of('--accent'), onAccent: of('--on-accent'), slate: of('--slate'),
    slateDim: of('--slate-dim'), hatch: of('--hatch'), sans: style.fontFamily,
  }
}

let hatching: { pattern: CanvasPattern; key: string } | null = null

function hatchPattern(context: CanvasRenderingContext2D, colours: Colours, scale: number): CanvasPattern | string {
  const key = `${colours.hatch} ${scale}`
  if (hatching?.key === key) return hatching.pattern
  const size = Math.round(6 * scale)
  const tile = document.createElement('canvas')
  tile.width = tile.height = size
  const pen = tile.getContext('2d')
  const pattern = pen && context.createPattern(tile, 'repeat')
  if (!pen || !pattern) return colours.hatch
  pen.strokeStyle = colours.lineStrong
  pen.lineWidth = scale
  pen.beginPath()
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size)
    pen.lineTo(shift + size, 0)
  }
  pen.stroke()
  const made = context.createPattern(tile, 'repeat')
  if (!made) return colours.hatch
  made.setTransform(new DOMMatrix().scale(1 / scale))
  hatching = { pattern: made, key }
  return made
}

/** Draws everything anew; `scale` is the device's pixels per CSS pixel. */
export function draw(context: CanvasRenderingContext2D, scene: Scene, colours: Colours, scale: number): void {
  const { view, rows, rowPx } = scene
  const height = RULER_PX + rows.length * rowPx
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, view.width, height)
  const hatch = hatchPattern(context, colours, scale)
  const crisp = (x: number) => Math.round(x * scale) / scale

  // Grid: fine ticks as short strokes in the ruler, labelled ones through all rows.
  // Seconds in a label need more room.
  const apart = view.width < 500 ? 56 : 80
  const closest = stepFor(view, apart)
  const labelStep = closest < 60_000 ? stepFor(view, apart + 24) : closest
  const offset = (ms: number) => offsetMs(ms, scene.zone)
  const fine = ticks(view, stepFor(view, 14), offset)
  const labelled = ticks(view, labelStep, offset)
  context.fillStyle = colours.line
  for (const tick of fine) context.fillRect(crisp(tick.x), RULER_PX - 4, 1, 4)
  for (const tick of labelled) {
    context.fillStyle = tick.midnight ? colours.lineStrong : colours.line
    context.fillRect(crisp(tick.x), RULER_PX - 8, 1, height - RULER_PX + 8)
  }
  context.fillRect(0, RULER_PX - 1, view.width, 1)

  // Rows
  rows.forEach((row, i) => {
    const top = RULER_PX + i * rowPx
    if (row.chosen) {
      context.fillStyle = colours.raised
      context.fillRect(0, top, view.width, rowPx)
    }
    const inset = rowPx >= 22 ? 6 : 4
    const y = top + inset
    const barPx = rowPx - 2 * inset
    for (const gap of gaps(row.runs, view.startMs, endOf(view))) {
      const box = bar(view, gap)
      if (!box) continue
      context.fillStyle = hatch
      context.fillRect(box.x, y, box.width, barPx)
    }
    context.fillStyle = row.chosen ? colours.slate : colours.slateDim
    for (const run of row.runs) {
      const box = bar(view, run)
      if (box) context.fillRect(box.x, y, box.width, barPx)
    }
    // A gap too short for its hatching is still a gap: cut a slit into the bar.
    for (const gap of gaps(row.runs, view.startMs, endOf(view))) {
      const box = bar(view, gap)
      if (!box || box.width >= 3) continue
      context.fillStyle = row.chosen ? colours.raised : colours.surface
      context.fillRect(box.x - 0.5, y, 2, barPx)
    }
    context.fillStyle = colours.line
    context.fillRect(0, top + rowPx - 1, view.width, 1)
  })

  // The range for an export: brackets in the ruler, a tint through all rows.
  if (scene.range) {
    const from = xOf(view, scene.range.startMs)
    const to = xOf(view, scene.range.endMs)
    context.fillStyle = colours.accent
    context.globalAlpha = 0.18
    context.fillRect(from, RULER_PX, to - from, height - RULER_PX)
    context.globalAlpha = 1
    context.fillRect(from, RULER_PX - 3, to - from, 3)
    context.fillRect(crisp(from), RULER_PX - 10, 2, height - RULER_PX + 10)
    context.fillRect(crisp(to) - 2, RULER_PX - 10, 2, height - RULER_PX + 10)
  }

  // Labels of the ruler
  context.font = `11px ${colours.sans}`
  context.textBaseline = 'middle'
  context.textAlign = 'left'
  for (const tick of labelled) {
    context.fillStyle = tick.midnight ? colours.text : colours.dim
    const words = tick.midnight || labelStep >= DAY ? dayName(tick.ms, scene.zone) : labelStep < 60_000 ? clock(tick.ms, scene.zone) : clockMinutes(tick.ms, scene.zone)
    context.fillText(words, tick.x + 5, 11)
  }

  // Now: beyond it there is nothing yet.
  const nowX = xOf(view, scene.nowMs)
  if (nowX < view.width) {
    context.fillStyle = colours.ground
    context.globalAlpha = 0.55
    context.fillRect(Math.max(0, nowX), RULER_PX, view.width - nowX, height - RULER_PX)
    context.globalAlpha = 1
    context.fillStyle = colours.dim
    for (let y = RULER_PX; y < height; y += 6) context.fillRect(crisp(nowX), y, 1, 3)
  }

  if (scene.hoverX !== null) {
    context.fillStyle = colours.dim
    context.fillRect(crisp(scene.hoverX), RULER_PX - 8, 1, height - RULER_PX + 8)
  }

  // Playhead: a line and its time on a flag that can be taken hold of.
  if (scene.playheadMs !== null) {
    const x = xOf(view, scene.playheadMs)
    if (x > -60 && x < view.width + 60) {
      context.fillStyle = colours.accent
      context.fillRect(crisp(x) - 1, RULER_PX - 8, 2, height - RULER_PX + 8)
      const words = clock(scene.playheadMs, scene.zone)
      context.font = `600 11px ${colours.sans}`
      const half = context.measureText(words).width / 2 + 7
      const middle = Math.min(Math.max(x, half), view.width - half)
      context.beginPath()
      context.roundRect(middle - half, 1, half * 2, 19, 4)
      context.fill()
      context.fillStyle = colours.onAccent
      context.textAlign = 'center'
      context.fillText(words, middle, 11)
    }
  }
}
