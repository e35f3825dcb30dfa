// The recorder's settings that every page needs: its name and its time zone. Loaded once, replaced when saved.
import { api } from './api'
import { knownZone } from './time'
import type { Settings } from './views'

export const settings = $state({
  loaded: false,
  zone: 'UTC',
  rtspEnabled: false,
})

export function take(given: Settings): void {
  settings.zone = knownZone(given.time_zone)
  settings.rtspEnabled = given.rtsp_enabled
  settings.loaded = true
}

export async function loadSettings(): Promise<void> {
  try {
    take(await api.settings())
  } catch {
    // Times stay in UTC and say so; the page that needs the settings asks again itself.
  }
}
