// One case against a recorder that runs already, such as the emulated board: BOARD_URL names it, SETUP_CODE claims it.
// Not a part of `npm test`: npx playwright test -c board.config.mjs
import { join } from 'node:path'
import { defineConfig } from '@playwright/test'
import all from './playwright.config.mjs'
import { output } from './support/places.mjs'

export default defineConfig({
  ...all,
  testDir: './board',
  outputDir: join(output, 'board'),
  globalSetup: undefined,
  // An emulated processor is many times slower than a real one.
  timeout: 600_000,
  expect: { timeout: 180_000 },
  use: { ...all.use, actionTimeout: 120_000, navigationTimeout: 120_000 },
})
