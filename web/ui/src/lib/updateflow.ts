// An update as people follow it: its steps, and what became of it, told from one view of the recorder to the next. Pure.
import type { StageCode, Update } from './views'

export const STEPS = [
  { step: 'receiving', label: 'Receiving' },
  { step: 'verifying', label: 'Checking the signature' },
  { step: 'installing', label: 'Writing' },
  { step: 'restarting', label: 'Restarting' },
  { step: 'checking', label: 'Checking health' },
  { step: 'done', label: 'Done' },
] as const
export type Step = (typeof STEPS)[number]['step']

/** An update that is on its way, remembered across the restart, when the recorder says nothing. */
export interface Follow {
  /** Null while the recorder does not know it yet. */
  version: string | null
  /** What ran before. */
  from: string
  /** Writing has begun: an answer that stays away is the restart. */
  committed: boolean
  /** When the update before it ended, to tell the two apart. */
  lastAt: string | null
}

export interface Result {
  outcome: 'good' | 'rolled_back' | 'refused' | 'unknown'
  version: string
  /** What runs now. */
  runs: string
  /** The recorder's own words, often the reason; may be empty. */
  message: string
}

const COMMITTED: readonly StageCode[] = ['installing', 'restarting', 'checking']

/** Whether something is on its way. */
export function isActive(code: StageCode): boolean {
  return code !== 'idle' && code !== 'failed'
}

/** Takes the recorder's word; `result` is set when an update has just ended. */
export function follow(before: Follow | null, update: Update): { follow: Follow | null; result: Result | null } {
  const { stage, installed, last } = update
  if (isActive(stage.code)) {
    const now = before ?? { version: null, from: installed.version, committed: false, lastAt: last?.at ?? null }
    const committed = now.committed || COMMITTED.includes(stage.code)
    return { follow: { ...now, version: stage.version ?? now.version, committed }, result: null }
  }
  if (before === null) return { follow: null, result: null }
  const runs = installed.version
  if (last && last.at !== before.lastAt) {
    return { follow: null, result: { outcome: last.outcome, version: last.version, runs, message: last.message } }
  }
  // Just after a restart it has not begun to check, or does not know of itself yet.
  if (before.committed && (installed.trying || !update.supported)) return { follow: before, result: null }
  // Given up before anything was written: whoever gave it up knows. Without a version it was a plain restart.
  if (!before.committed || before.version === null) return { follow: null, result: null }
  return { follow: null, result: { outcome: 'unknown', version: before.version, runs, message: stage.message } }
}

/** Where an update stands; null when none is on its way. `sending`: this browser sends one right now. */
export function stepOf(update: Update, on: Follow | null, connected: boolean, sending: boolean): Exclude<Step, 'done'> | null {
  if (on?.committed && !connected) return 'restarting'
  const { code } = update.stage
  if (code !== 'idle' && code !== 'failed') return code
  // Silent about it: it has just started, and the health check comes.
  if (on?.committed) return 'checking'
  return sending ? 'receiving' : null
}

/** How an update went, in one sentence. */
export function outcomeWords({ outcome, version, runs }: Result): string {
  if (outcome === 'good') return `${version} runs and was found healthy`
  if (outcome === 'rolled_back') return `${version} did not become healthy; ${runs} runs again, nothing was lost`
  if (outcome === 'refused') return `${version} was not installed; ${runs} goes on running`
  return runs === version ? `${runs} runs` : `${runs} runs; the recorder kept no word on ${version}`
}
