// One export at a time, running on while pages change: the recorder's answer streamed into a file, with progress and cancel.
import { errorOf, exportUrl, movieUrl, wordsOf } from './api'
import { rfc3339Short } from './time'

/** Held in the browser until it is whole; more than this is handed to the browser's own downloads. */
export const MAX_HELD_BYTES = 512 * 1024 * 1024

export type ExportPhase = 'idle' | 'running' | 'done' | 'handed' | 'failed' | 'cancelled'

export const job = $state({
  phase: 'idle' as ExportPhase,
  title: '',
  name: '',
  received: 0,
  total: 0,
  message: '',
  /** The dialog shows it; else the chip does. */
  watched: false,
})

let abort: AbortController | null = null

/** The file name that the recorder gives, from Content-Disposition (RFC 6266). */
export function fileName(disposition: string | null): string | null {
  const name = /filename="?([^";]+)"?/i.exec(disposition ?? '')?.[1]?.trim()
  // A name is a name, never a way through folders.
  return name && !/[/\\]/.test(name) ? name : null
}

/** What is exported: one channel is a movie, several are one movie or a zip of movies. */
export interface ExportInput {
  channels: readonly number[]
  title: string
  startMs: number
  endMs: number
  kind: 'mp4' | 'zip'
  /** The size that the recorder announced; of several channels about that. */
  bytes: number
}

function ownName({ channels, startMs, kind }: ExportInput): string {
  const of = channels.length === 1 ? `ch${channels[0]}-` : ''
  return `candor-${of}${rfc3339Short(Math.floor(startMs / 1000) * 1000).replaceAll(':', '-')}.${kind}`
}

function addressOf({ channels, startMs, endMs, kind }: ExportInput): string {
  const [first] = channels
  if (channels.length === 1 && first !== undefined && kind === 'mp4') return movieUrl(first, startMs, endMs, true)
  return exportUrl(channels, startMs, endMs, kind)
}

function save(href: string, name: string): void {
  const link = document.createElement('a')
  link.href = href
  link.download = name
  document.body.append(link)
  link.click()
  link.remove()
}

/** Starts; what ran before must have ended. */
export async function startExport(input: ExportInput): Promise<void> {
  if (job.phase === 'running') return
  const url = addressOf(input)
  Object.assign(job, { phase: 'running', title: input.title, name: ownName(input), received: 0, total: input.bytes, message: '' })
  if (input.bytes > MAX_HELD_BYTES) {
    save(url, '')
    job.phase = 'handed'
    return
  }
  const mine = new AbortController()
  abort = mine
  try {
    const answer = await fetch(url, { signal: mine.signal, credentials: 'same-origin' })
    if (!answer.ok || !answer.body) throw await errorOf(answer)
    job.name = fileName(answer.headers.get('Content-Disposition')) ?? job.name
    const length = Number(answer.headers.get('Content-Length'))
    if (length > 0) job.total = length
    const parts: BlobPart[] = []
    let received = 0
    const reader = answer.body.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      parts.push(value)
      received += value.byteLength
      job.received = received
    }
    if (length > 0 && received < length) throw new Error('The connection ended before the file was whole. Nothing was saved; export again.')
    const href = URL.createObjectURL(new Blob(parts, { type: answer.headers.get('Content-Type') ?? 'video/mp4' }))
    save(href, job.name)
    // The browser reads the object after the click; a minute is plenty and then the memory is free again.
    setTimeout(() => URL.revokeObjectURL(href), 60_000)
    job.phase = 'done'
  } catch (error) {
    if (mine.signal.aborted) {
      job.phase = 'cancelled'
    } else {
      job.message = error instanceof TypeError ? 'The connection was lost. Nothing was saved; the footage is still on the recorder. Export again.' : wordsOf(error)
      job.phase = 'failed'
    }
  } finally {
    abort = null
  }
}

export function cancelExport(): void {
  abort?.abort()
}

export function dismissExport(): void {
  if (job.phase !== 'running') job.phase = 'idle'
}
