// Keyboard: the one list of keys (shown by ?), and binding them while a page is there.

export interface KeyHelp {
  keys: string[]
  does: string
}

export const KEY_HELP: { place: string; keys: KeyHelp[] }[] = [
  {
    place: 'Everywhere',
    keys: [
      { keys: ['G'], does: 'Grid of all channels' },
      { keys: ['1', '…', '9'], does: 'Choose a channel' },
      { keys: ['F'], does: 'Full screen' },
      { keys: ['Esc'], does: 'Back, close' },
      { keys: ['?'], does: 'Show these keys' },
    ],
  },
  {
    place: 'Live',
    keys: [
      { keys: ['←', '→'], does: 'Walk over the channels' },
      { keys: ['Enter'], does: 'Enlarge the focused one' },
      { keys: ['M'], does: 'Sound on or off' },
      { keys: ['P'], does: 'Play back this channel' },
    ],
  },
  {
    place: 'Playback',
    keys: [
      { keys: ['Space'], does: 'Play or pause' },
      { keys: ['←', '→'], does: 'One frame back or on' },
      { keys: ['Shift', '←', '→'], does: 'Ten seconds back or on' },
      { keys: ['J'], does: 'Slower, then backwards' },
      { keys: ['K'], does: 'Pause' },
      { keys: ['L'], does: 'Faster' },
      { keys: ['['], does: 'Mark the start' },
      { keys: [']'], does: 'Mark the end' },
      { keys: ['E'], does: 'Export' },
      { keys: ['+', '−'], does: 'Zoom the timeline' },
      { keys: ['PgUp', 'PgDn'], does: 'Previous or next footage' },
      { keys: ['M'], does: 'Sound on or off' },
    ],
  },
]

export type Bindings = Record<string, (event: KeyboardEvent) => void>

/** A key's name in bindings: `Shift+ArrowLeft`, `j`, `?`, ` `. */
export function nameOf(event: Pick<KeyboardEvent, 'key' | 'shiftKey'>): string {
  const plain = event.key.length === 1 ? event.key.toLowerCase() : event.key
  return event.shiftKey && event.key.length > 1 ? `Shift+${plain}` : plain
}

/** Whether the key belongs to what has the focus: text fields take all, buttons and lists take their own. */
function taken(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true
  const target = event.target
  if (!(target instanceof HTMLElement)) return false
  if (target.isContentEditable || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement) return true
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio', 'button'].includes(target.type)
  if (event.key === 'Enter' || event.key === ' ') return target.closest('button, a[href], summary') !== null
  return false
}

/** Binds keys until the returned function is called. An open dialog keeps all keys to itself. */
export function bindKeys(bindings: Bindings): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || taken(event) || document.querySelector('dialog[open]')) return
    const action = bindings[nameOf(event)]
    if (!action) return
    event.preventDefault()
    action(event)
  }
  addEventListener('keydown', onKey)
  return () => removeEventListener('keydown', onKey)
}
