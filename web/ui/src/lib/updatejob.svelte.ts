// Installing: what this browser sends or asks for, one at a time, running on while pages change.
import { api, ApiError, sendBundle, wordsOf } from './api'
import type { BundleHead } from './bundle'
import { flow } from './updateflow.svelte'
import { updates } from './updates.svelte'
import type { Failure } from './updatewords'
import type { UsbBundle } from './views'

/** Where a bundle comes from. */
export type Source = { file: File; head: BundleHead | null } | { usb: UsbBundle }

export const job = $state({
  source: null as Source | null,
  /** From the first byte until the recorder says that it installs, or why not. */
  busy: false,
  /** Bytes that left this browser. */
  sent: 0,
  cancelling: false,
  failure: null as Failure | null,
  /** The recorder wants to hear that an older version is meant. */
  older: false,
})

/** Events come at most once a second; this is 3 s. */
const BEGUN_TRIES = 30

let abort: AbortController | null = null

export function choose(source: Source | null): void {
  if (job.busy) return
  Object.assign(job, { source, failure: null, older: false, sent: 0 })
}

/** The version as the bundle tells it. */
export function versionOf(source: Source): string | null {
  return 'usb' in source ? source.usb.version : (source.head?.version ?? null)
}

export async function install(downgrade = false): Promise<void> {
  const { source } = job
  if (!source || job.busy) return
  Object.assign(job, { busy: true, sent: 0, cancelling: false, failure: null, older: false })
  flow.result = null
  const mine = new AbortController()
  abort = mine
  try {
    if ('usb' in source) await api.installFromUsb({ device: source.usb.device, file: source.usb.file, downgrade })
    else await sendBundle(source.file, downgrade, (bytes) => { job.sent = bytes }, mine.signal)
    await begun()
    job.source = null
  } catch (error) {
    const { code, message } = error instanceof ApiError ? error : { code: 'unknown', message: wordsOf(error) }
    if (job.cancelling) job.failure = { code: 'cancelled', message: '', percent: null }
    else if (code === 'downgrade') job.older = true
    // Once it is being written, the restart may come before the answer.
    else if (code === 'network' && flow.on?.committed) job.source = null
    else {
      job.failure = { code, message, percent: percentOf(source) }
    }
  } finally {
    job.busy = false
    job.cancelling = false
    abort = null
  }
}

/** The answer may be quicker than the event that says the same. */
async function begun(): Promise<void> {
  for (let tries = 0; tries < BEGUN_TRIES && !flow.on?.committed; tries++) await new Promise((done) => setTimeout(done, 100))
}

/** How far it was: what the recorder has taken, else what has left this browser. */
function percentOf(source: Source): number | null {
  const stage = updates.update?.stage
  const [done, total] = stage?.code === 'receiving' && stage.total_bytes > 0 ? [stage.done_bytes, stage.total_bytes] : [job.sent, 'file' in source ? source.file.size : 0]
  return total > 0 ? Math.min(Math.floor((done / total) * 100), 100) : null
}

/** Gives up what is received; null, or in words why that is too late. */
export async function cancel(): Promise<string | null> {
  job.cancelling = true
  try {
    await api.cancelUpdate()
  } catch (error) {
    // An upload that the recorder has not seen yet is ours alone.
    if (!(error instanceof ApiError && error.code === 'nothing_to_cancel' && job.busy)) {
      job.cancelling = false
      return isTooLate(error) ? 'It is too late to cancel: writing has begun. The version before stays until the new one is healthy.' : wordsOf(error)
    }
  }
  abort?.abort()
  if (!job.busy) job.cancelling = false
  return null
}

function isTooLate(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'too_late'
}
