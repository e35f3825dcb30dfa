// Times as people read them, always in the recorder's time zone (Intl; no date library). Pure.

type Field = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second'

const cache = new Map<string, Intl.DateTimeFormat>()

function format(key: string, zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const id = `${key} ${zone}`
  let found = cache.get(id)
  if (!found) {
    found = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone, hourCycle: 'h23' })
    cache.set(id, found)
  }
  return found
}

/** The zone when the browser knows it, else UTC. */
export function knownZone(zone: string): string {
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone: zone })
    return zone
  } catch {
    return 'UTC'
  }
}

function fields(ms: number, zone: string): Record<Field, number> {
  const parts = format('fields', zone, {
    year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
  }).formatToParts(ms)
  const of = (type: Field) => Number(parts.find((part) => part.type === type)?.value ?? 0)
  return { year: of('year'), month: of('month'), day: of('day'), hour: of('hour'), minute: of('minute'), second: of('second') }
}

/** Offsets change on quarter hours at the finest; asked often by the timeline. */
const QUARTER_MS = 900_000
const offsets = new Map<string, number>()

/** Offset of the zone from UTC at `ms`, in milliseconds, positive in the east. */
export function offsetMs(ms: number, zone: string): number {
  const quarter = Math.floor(ms / QUARTER_MS)
  const key = `${quarter} ${zone}`
  const known = offsets.get(key)
  if (known !== undefined) return known
  const at = quarter * QUARTER_MS
  const f = fields(at, zone)
  const offset = Date.UTC(f.year, f.month - 1, f.day, f.hour, f.minute, f.second) - at
  if (offsets.size > 4096) offsets.clear()
  offsets.set(key, offset)
  return offset
}

/** `UTC+01:00` */
export function offsetName(ms: number, zone: string): string {
  const minutes = Math.round(offsetMs(ms, zone) / 60_000)
  const sign = minutes < 0 ? '−' : '+'
  const of = Math.abs(minutes)
  return `UTC${sign}${two(Math.floor(of / 60))}:${two(of % 60)}`
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}

/** `14:02:07` */
export function clock(ms: number, zone: string): string {
  const f = fields(ms, zone)
  return `${two(f.hour)}:${two(f.minute)}:${two(f.second)}`
}

/** `14:02` */
export function clockMinutes(ms: number, zone: string): string {
  return clock(ms, zone).slice(0, 5)
}

/** `14:02:07.040` */
export function clockMillis(ms: number, zone: string): string {
  const whole = Math.floor(ms)
  return `${clock(whole, zone)}.${String(((whole % 1000) + 1000) % 1000).padStart(3, '0')}`
}

/** `2026-11-20`, as date inputs want it. */
export function dateValue(ms: number, zone: string): string {
  const f = fields(ms, zone)
  return `${f.year}-${two(f.month)}-${two(f.day)}`
}

/** `Fri 20 Nov` */
export function dayName(ms: number, zone: string): string {
  return format('day', zone, { weekday: 'short', day: 'numeric', month: 'short' }).format(ms).replace(',', '')
}

/** The whole of it, for hovering: `Fri 20 Nov 2026, 14:02:07 (UTC+01:00, Europe/Berlin)` */
export function full(ms: number, zone: string): string {
  const f = fields(ms, zone)
  return `${dayName(ms, zone)} ${f.year}, ${clock(ms, zone)} (${offsetName(ms, zone)}, ${zone})`
}

/** Today the clock alone, else with the day: `14:02:07` or `Thu 19 Nov 14:02`. */
export function shortTime(ms: number, zone: string, nowMs: number): string {
  return dateValue(ms, zone) === dateValue(nowMs, zone) ? clock(ms, zone) : `${dayName(ms, zone)} ${clockMinutes(ms, zone)}`
}

/**
 * The instant of a date (`2026-11-20`) and time (`14:02` or `14:02:07`) in the zone; null when they don't parse.
 * A time that a spring change leaves out becomes the one an hour later; one that comes twice, the first.
 */
export function instant(date: string, time: string, zone: string): number | null {
  const d = /^(\d{4})-(\d{2})-(\d{2})$/.exec(date)
  const t = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?$/.exec(time)
  if (!d || !t) return null
  const wanted = Date.UTC(Number(d[1]), Number(d[2]) - 1, Number(d[3]), Number(t[1]), Number(t[2]), Number(t[3] ?? 0))
  if (Number.isNaN(wanted)) return null
  const before = wanted - offsetMs(wanted - 86_400_000, zone)
  const after = wanted - offsetMs(wanted + 86_400_000, zone)
  const fits = [before, after].filter((ms) => ms + offsetMs(ms, zone) === wanted)
  return fits.length > 0 ? Math.min(...fits) : before
}

/** A time of day as people type it, `9:05`, `14:02:07`, `1402`, `140207`, as `14:02:07`; null when it is none. */
export function timeOfDay(text: string): string | null {
  const m = /^(\d{1,2})[:.h ](\d{2})(?:[:.m ](\d{2}))?s?$/.exec(text.trim()) ?? /^(\d{2})(\d{2})(\d{2})?$/.exec(text.trim())
  if (!m) return null
  const [hour, minute, second] = [Number(m[1]), Number(m[2]), Number(m[3] ?? 0)]
  return hour < 24 && minute < 60 && second < 60 ? `${two(hour)}:${two(minute)}:${two(second)}` : null
}

/** `1 d 4 h`, `4 h 10 min`, `3 min 5 s`, `12 s` */
export function duration(ms: number): string {
  const sec = Math.max(0, Math.round(ms / 1000))
  if (sec < 60) return `${sec} s`
  if (sec < 3600) return pair(Math.floor(sec / 60), 'min', sec % 60, 's')
  if (sec < 86_400) return pair(Math.floor(sec / 3600), 'h', Math.floor((sec % 3600) / 60), 'min')
  return pair(Math.floor(sec / 86_400), 'd', Math.floor((sec % 86_400) / 3600), 'h')
}

function pair(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`
}

/** As the API wants it: RFC 3339 UTC with milliseconds. */
export function rfc3339(ms: number): string {
  return new Date(Math.round(ms)).toISOString()
}

/** For addresses: no milliseconds when there are none. */
export function rfc3339Short(ms: number): string {
  return rfc3339(ms).replace('.000Z', 'Z')
}
