// Pictures of the app against the mock, for looking at: node mock/shots.mjs [name…]. Files go to mock/shots.
import { mkdirSync } from 'node:fs'
import { chromium } from 'playwright-core'

const BASE = process.env.BASE ?? 'http://127.0.0.1:5180'
const OUT = new URL('./shots/', import.meta.url).pathname
const only = process.argv.slice(2)
mkdirSync(OUT, { recursive: true })

const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 360, height: 740 } }
const LIVE_MS = 2500
const tMinus = (minutes) => new Date(Math.floor((Date.now() - minutes * 60e3) / 1000) * 1000).toISOString().replace('.000Z', 'Z')
const PAGES = [
  ['login', '/live', { signedOut: true }],
  ['live', '/live'],
  ['large', '/live/2'],
  ['playback', `/playback?ch=1&t=${tMinus(7)}`],
  ['lost', '/live', { act: async (page) => { await page.waitForTimeout(1500); await page.evaluate(() => fetch('/mock/drop?ms=3500').catch(() => {})); await page.waitForTimeout(3000) }, after: async (page) => { await page.waitForTimeout(1500) } }],
  ['watching', '/live', { act: async (page) => { await page.waitForTimeout(1200); await page.locator('[data-testid="trust-line"] button').click() } }],
  ['export', `/playback?ch=1&t=${tMinus(7)}`, { act: async (page) => { await page.waitForTimeout(LIVE_MS); await page.locator('[data-testid="export-button"]').click(); await page.waitForTimeout(1000) } }],
  ['gap', `/playback?ch=3&t=${tMinus(30)}`, { act: async (page) => { await page.waitForTimeout(LIVE_MS); const box = await page.locator('[data-testid="timeline"]').boundingBox(); const x = await page.evaluate(() => innerWidth < 640 ? 0.27 : 0.264); await page.mouse.move(box.x + box.width * x, box.y + 28 + (box.height - 28) * 0.5); await page.waitForTimeout(300) } }],
  ['day', `/playback?ch=3&t=${tMinus(30)}`, { act: async (page) => { await page.waitForTimeout(1500); for (let i = 0; i < 5; i++) await page.keyboard.press('-'); await page.waitForTimeout(800) } }],
  ['none', `/playback?ch=4&t=${tMinus(2)}`],
  ['camera', '/settings/cameras', { act: async (page) => { await page.getByRole('button', { name: 'Edit Gate' }).click(); await page.waitForTimeout(200) } }],
  ['remove', '/settings/cameras', { act: async (page) => { await page.getByRole('button', { name: 'Remove Gate' }).click(); await page.waitForTimeout(200) } }],
  ['key', '/settings/access', { act: async (page) => { await page.fill('#key-name', `desk-${Math.round(Math.random() * 1e4)}`); await page.locator('[data-testid="stream-key-form"] button').click(); await page.waitForTimeout(300) } }],
  ['keys', '/live', { act: async (page) => { await page.waitForTimeout(300); await page.keyboard.press('?'); await page.waitForTimeout(200) } }],
  ['events', '/events'],
  ['ledger', '/ledger'],
  ['general', '/settings/general'],
  ['cameras', '/settings/cameras'],
  ['access', '/settings/access'],
  ['health', '/health'],
]

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})

for (const scheme of ['dark', 'light']) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    const context = await browser.newContext({ viewport, colorScheme: scheme, hasTouch: size === 'phone' })
    const page = await context.newPage()
    page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) console.log(`${scheme} ${size}: ${message.text()}`) })
    page.on('pageerror', (error) => console.log(`${scheme} ${size}: ${error.stack}`))
    for (const [name, path, options = {}] of PAGES) {
      if (only.length && !only.includes(name)) continue
      if (options.signedOut) await context.request.delete(`${BASE}/api/v1/session`, { headers: { 'X-CSRF-Token': 'c5f3' } })
      else await context.request.post(`${BASE}/api/v1/session`, { data: { user: 'anna', password: 'correct horse battery' } })
      await page.goto(BASE + path)
      await page.waitForTimeout(/live|large|playback|none/.test(name) ? LIVE_MS : 700)
      await options.act?.(page)
      const wide = await page.evaluate(() => [...document.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(e).position !== 'absolute').slice(0, 3).map((e) => e.outerHTML.slice(0, 90)))
      if (wide.length) console.log(`${scheme} ${size} ${name}: wider than the page`, wide)
      await page.screenshot({ path: `${OUT}${name}-${size}-${scheme}.png` })
      await options.after?.(page)
    }
    await context.close()
  }
}
await browser.close()
