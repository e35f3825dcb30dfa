// Footage that did not get onto a disk, in one line. Pure.
import { count } from './text'
import { duration } from './time'
import type { LostFootage } from './views'

/** The sum of what is missing, whatever the reasons; null where nothing is. */
export function lostLine(lost: readonly LostFootage[]): string | null {
  if (lost.length === 0) return null
  const pictures = lost.filter((one) => !one.sound)
  // Where a picture is missing its sound mostly is, too: it is not counted twice.
  const counted = pictures.length > 0 ? pictures : lost
  const seconds = counted.reduce((sum, one) => sum + one.lost_sec, 0)
  const channels = new Set(lost.map((one) => one.channel)).size
  return `${duration(seconds * 1000)} of footage of ${count(channels, 'channel')} did not get onto a disk since recording was last started`
}
