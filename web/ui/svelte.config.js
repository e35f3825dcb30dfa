// Svelte's options: runes everywhere, styles in files only (a strict CSP is served).
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte'

export default {
  preprocess: vitePreprocess({ script: false }),
  compilerOptions: { runes: true, css: 'external' },
}
