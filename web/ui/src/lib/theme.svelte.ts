// Dark or light: the system's choice unless this browser was told otherwise (localStorage, general settings).

export type Theme = 'system' | 'dark' | 'light'

const KEY = 'candor-theme'

export const theme = $state({ choice: stored(), dark: true })

const systemDark = matchMedia('(prefers-color-scheme: dark)')

function stored(): Theme {
  try {
    const found = localStorage.getItem(KEY)
    return found === 'dark' || found === 'light' ? found : 'system'
  } catch {
    return 'system'
  }
}

function apply(): void {
  theme.dark = theme.choice === 'system' ? systemDark.matches : theme.choice === 'dark'
  document.documentElement.dataset.theme = theme.dark ? 'dark' : 'light'
}

export function choose(choice: Theme): void {
  theme.choice = choice
  try {
    if (choice === 'system') localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, choice)
  } catch {
    // Without storage the choice holds until the page is closed.
  }
  apply()
}

export function startTheme(): void {
  systemDark.addEventListener('change', apply)
  apply()
}
