// Quantities and codecs as people read them. Pure.

const STEPS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']

/** `1.4 GB`: decimal units, as disks are sold. */
export function bytes(n: number): string {
  let value = Math.max(0, n)
  let step = 0
  while (value >= 999.5 && step < STEPS.length - 1) {
    value /= 1000
    step++
  }
  return `${step === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${STEPS[step]}`
}

/** `2.1 Mbit/s` */
export function bitRate(bps: number): string {
  if (bps >= 999_500) return `${(bps / 1e6).toFixed(1)} Mbit/s`
  return `${Math.round(bps / 1000)} kbit/s`
}

const CODECS: Record<string, string> = { h264: 'H.264', h265: 'H.265', aac: 'AAC', g711a: 'G.711 A-law', g711u: 'G.711 µ-law', opus: 'Opus', jpeg: 'JPEG' }

export function codecName(codec: string): string {
  return CODECS[codec.toLowerCase()] ?? codec
}

/** The name of the video codec in a MIME type with an RFC 6381 codecs list. */
export function mimeCodec(mime: string): string {
  if (/\b(hvc1|hev1)/i.test(mime)) return 'H.265'
  if (/\bavc[13]/i.test(mime)) return 'H.264'
  return mime.replace(/^.*codecs="?([^",]*).*$/i, '$1')
}

/** The MIME type without its sound: a movie whose sound a browser does not know (G.711) still shows its picture. */
export function pictureMime(mime: string): string {
  return mime.replace(/codecs="([^"]*)"/i, (_, list: string) => `codecs="${list.split(',').filter((codec) => /^\s*(avc|hvc|hev)/i.test(codec)).join(',') || list}"`)
}

/** Why a channel's sound cannot be heard in a browser; null when it can. Fragments carry AAC only. */
export function noSound(audio: { codec: string } | null): string | null {
  if (!audio) return 'This channel has no sound'
  return audio.codec.toLowerCase() === 'aac' ? null : `Browsers cannot play ${codecName(audio.codec)}; the sound is recorded all the same`
}

/** `1 camera`, `4 cameras` */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}

/** For how long footage stays: `about 12 days`, or `7 days`, or that the disk is too small for them. */
export function stays(retention: { keep_days: number | null; expected_hours: number | null }): string {
  const { keep_days: wanted, expected_hours: hours } = retention
  const expected = hours === null ? null : hours >= 48 ? `about ${Math.floor(hours / 24)} days` : `about ${count(hours, 'hour')}`
  if (wanted === null) return expected ?? 'not known yet'
  if (hours === null || expected === null || hours >= wanted * 24) return count(wanted, 'day')
  return `${expected}, not ${count(wanted, 'day')}: the disk is too small`
}

/** `9f3ad21c…77e0`: enough of a hash to tell it from another. */
export function shortHash(hash: string): string {
  return hash.length > 16 ? `${hash.slice(0, 8)}…${hash.slice(-4)}` : hash
}

/** `1a2b3c4d5`, as the source's history shows it. */
export function shortCommit(commit: string): string {
  return /^[0-9a-f]{12,}/.test(commit) ? commit.slice(0, 9) : commit
}
