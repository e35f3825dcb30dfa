// The cases that need no recorder, alone: quick while the browser app is changed. `npm test` runs them with the others.
import { defineConfig } from '@playwright/test'
import all from './playwright.config.mjs'

export default defineConfig({ ...all, globalSetup: undefined, testMatch: /(10|11)-.*\.spec\.mjs/ })
