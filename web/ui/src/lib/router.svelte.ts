// Addresses: every place can be shared and reloaded. History routing; pages read `route`, links are plain <a href>.

export type Place = 'live' | 'playback' | 'events' | 'ledger' | 'settings' | 'health'

export interface Route {
  place: Place
  /** What follows the place: a channel of /live, a topic of /settings. */
  rest: string
  query: URLSearchParams
  /** Which part of the page, `#disks`; empty for its top. */
  hash: string
}

const PLACES: readonly string[] = ['live', 'playback', 'events', 'ledger', 'settings', 'health'] satisfies Place[]

export function parse(path: string, search: string, hash = ''): Route {
  const [place = '', rest = ''] = path.split('/').filter((part) => part !== '')
  return { place: PLACES.includes(place) ? (place as Place) : 'live', rest, query: new URLSearchParams(search), hash }
}

export const route: Route = $state(parse(location.pathname, location.search, location.hash))

function read(): void {
  Object.assign(route, parse(location.pathname, location.search, location.hash))
}

/** Goes to an address of this app. */
export function go(href: string): void {
  if (href === location.pathname + location.search + location.hash) return
  history.pushState(null, '', href)
  read()
}

/** Puts another address into the bar without a new step to go back to; the page that calls it knows already. */
export function replace(href: string): void {
  if (href !== location.pathname + location.search) history.replaceState(null, '', href)
}

/** Follows links inside the app without a reload. Called once. */
export function startRouting(): void {
  addEventListener('popstate', read)
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = (event.target as Element | null)?.closest('a[href]')
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute('download')) return
    if (link.origin !== location.origin || link.pathname.startsWith('/api/')) return
    event.preventDefault()
    go(link.pathname + link.search + link.hash)
  })
}
