// How the browser app is built: one script, one stylesheet, nothing inlined (a strict CSP is served).
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

const recorder = process.env.CANDOR_URL ?? 'http://127.0.0.1:5180'

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
  },
  server: {
    // `npm run dev` beside `npm run mock`, or beside a recorder named by CANDOR_URL.
    proxy: { '/api': { target: recorder, ws: true, secure: false, changeOrigin: true } },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})
