// Who is signed in, and whether this recorder is claimed yet. The CSRF token lives here and nowhere else.
import { api, ApiError, useSession, wordsOf } from './api'
import type { RecorderState, Session } from './views'

type Phase = 'loading' | 'failed' | 'unclaimed' | 'signed_out' | 'signed_in'

export const session = $state({
  phase: 'loading' as Phase,
  user: '',
  role: 'viewer' as Session['role'],
  name: 'Candor',
  version: '',
  message: '',
  /** Said on the log-in page when the session ended by itself. */
  ended: false,
})

export function isOwner(): boolean {
  return session.role === 'owner'
}

function signedOut(): void {
  useSession(null, () => {})
  session.ended = session.phase === 'signed_in'
  session.phase = 'signed_out'
}

/** Takes a session that the recorder just gave. */
export function signedIn(given: Session): void {
  useSession(given.csrf, signedOut)
  session.user = given.user
  session.role = given.role
  session.ended = false
  session.phase = 'signed_in'
}

/** Asks the recorder where we stand. */
export async function start(): Promise<void> {
  session.phase = 'loading'
  try {
    const state: RecorderState = await api.state()
    session.name = state.name
    session.version = state.version
    if (!state.claimed) {
      session.phase = 'unclaimed'
      return
    }
    signedIn(await api.session())
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      session.phase = 'signed_out'
    } else {
      session.message = wordsOf(error)
      session.phase = 'failed'
    }
  }
}

/** Whether the recorder still knows us; asked when a stream of events ends without a reason. */
export async function checkSession(): Promise<void> {
  try {
    await api.session()
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) signedOut()
  }
}

export async function logOut(): Promise<void> {
  try {
    await api.logOut()
  } catch {
    // The recorder forgets the session by itself; here it ends now.
  }
  signedOut()
  session.ended = false
}
