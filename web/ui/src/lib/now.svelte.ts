// The time, ticking once a second for "since" texts and the timeline's edge. The recorder's clock rules, not the browser's.
import { updates } from './updates.svelte'

export const now = $state({ ms: Date.now() })

/** Recorder's clock minus browser's, learnt from the system view. */
let skewMs = 0
let lastTime: string | null = null

setInterval(() => {
  const time = updates.system?.time ?? null
  if (time !== null && time !== lastTime) {
    lastTime = time
    skewMs = Date.parse(time) - Date.now()
    // A second or two is the way of the message, not a wrong clock.
    if (Math.abs(skewMs) < 3_000) skewMs = 0
  }
  now.ms = Date.now() + skewMs
}, 1_000)

/** The recorder's time at this moment. */
export function recorderNow(): number {
  return Date.now() + skewMs
}
