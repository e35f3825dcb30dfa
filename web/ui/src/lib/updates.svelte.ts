// What the recorder tells by itself: channels, trust, system and its own software, kept fresh by server-sent events.
// When the connection is lost the last views stay, marked stale, and it is tried again with back-off.
import { UPDATES_URL } from './api'
import { Backoff } from './backoff'
import { checkSession } from './session.svelte'
import { seeUpdate } from './updateflow.svelte'
import type { Channel, System, Trust, Update } from './views'

export const updates = $state({
  channels: null as Channel[] | null,
  trust: null as Trust | null,
  system: null as System | null,
  update: null as Update | null,
  /** Connected, or lost for so short that nobody need know. */
  connected: true,
  /** When the connection was lost (browser's clock), for the stale marks. */
  lostSince: null as number | null,
})

/** A restart of the web role takes less; only a longer loss is worth a word. */
const QUIET_LOSS_MS = 1_500
/** The recorder sends comments to keep the connection alive; half a minute without anything but silence is checked. */
const FIRST_VIEW_WITHIN_MS = 8_000

let source: EventSource | null = null
let retryTimer: ReturnType<typeof setTimeout> | undefined
let quietTimer: ReturnType<typeof setTimeout> | undefined
let firstTimer: ReturnType<typeof setTimeout> | undefined
const backoff = new Backoff()

export function startUpdates(): void {
  stopUpdates()
  connect()
}

export function stopUpdates(): void {
  source?.close()
  source = null
  clearTimeout(retryTimer)
  clearTimeout(quietTimer)
  clearTimeout(firstTimer)
  quietTimer = undefined
  backoff.succeeded()
  Object.assign(updates, { channels: null, trust: null, system: null, update: null, connected: true, lostSince: null })
}

function connect(): void {
  const opened = new EventSource(UPDATES_URL)
  source = opened
  clearTimeout(firstTimer)
  firstTimer = setTimeout(() => { if (source === opened) lost() }, FIRST_VIEW_WITHIN_MS)
  const view = <T>(name: string, take: (view: T) => void) =>
    opened.addEventListener(name, (event) => {
      clearTimeout(firstTimer)
      clearTimeout(quietTimer)
      quietTimer = undefined
      backoff.succeeded()
      updates.connected = true
      updates.lostSince = null
      try {
        take(JSON.parse((event as MessageEvent<string>).data) as T)
      } catch {
        // A broken view is left out; the next one comes within a second of the next change.
      }
    })
  view<Channel[]>('channels', (channels) => { updates.channels = channels.sort((a, b) => a.channel - b.channel) })
  view<Trust>('trust', (trust) => { updates.trust = trust })
  view<System>('system', (system) => { updates.system = system })
  view<Update>('update', takeUpdate)
  opened.onerror = () => { if (source === opened) lost() }
}

/** The recorder's word on its software, also when it came as an answer. */
export function takeUpdate(update: Update): void {
  updates.update = update
  seeUpdate(update)
}

function lost(): void {
  source?.close()
  source = null
  clearTimeout(firstTimer)
  updates.lostSince ??= Date.now()
  quietTimer ??= setTimeout(() => { updates.connected = false }, QUIET_LOSS_MS)
  if (backoff.attempts > 0) void checkSession()
  retryTimer = setTimeout(connect, backoff.next())
}

export function channelOf(number: number): Channel | null {
  return updates.channels?.find((channel) => channel.channel === number) ?? null
}
