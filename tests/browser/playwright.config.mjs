// How the tests run: one recorder for all of them, one after the other, in the order of their files.
import { defineConfig } from '@playwright/test'
import { results } from './support/places.mjs'

export default defineConfig({
  testDir: './cases',
  outputDir: results,
  globalSetup: './support/recorder.mjs',
  // One recorder with one state; it is what is tested, not test isolation.
  workers: 1,
  fullyParallel: false,
  retries: 0,
  // Generous: machines that build and test at once are slow. What must be quick is measured by itself.
  timeout: 90_000,
  globalTimeout: 900_000,
  expect: { timeout: 30_000 },
  forbidOnly: true,
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 800 },
    colorScheme: 'dark',
    locale: 'en-GB',
    actionTimeout: 30_000,
    navigationTimeout: 30_000,
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
      ],
    },
  },
})
