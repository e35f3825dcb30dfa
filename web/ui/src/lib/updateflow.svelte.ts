// The update on its way and what became of it, for every page. Outlives the loss of the connection and the log-in after it.
import { follow, type Follow, type Result } from './updateflow'
import type { Update } from './views'

export const flow = $state({
  on: null as Follow | null,
  /** How the one that this page followed ended; stays until it is put away. */
  result: null as Result | null,
})

export function seeUpdate(update: Update): void {
  const next = follow(flow.on, update)
  flow.on = next.follow
  if (next.follow) flow.result = null
  else if (next.result) flow.result = next.result
}

export function dismissResult(): void {
  flow.result = null
}
