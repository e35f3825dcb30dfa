// Drives the built app against the mock in Chromium and says what holds: node mock/drive.mjs. Starts its own mocks.
// For those who change the app; the recorder's own browser tests are elsewhere.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { chromium } from 'playwright-core'

const HERE = new URL('.', import.meta.url).pathname
const mocks = []
async function mock(port, env = {}) {
  const child = spawn('node', [`${HERE}server.mjs`], { env: { ...process.env, PORT: String(port), ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  mocks.push(child)
  await once(child.stdout, 'data')
  return `http://127.0.0.1:${port}`
}

let failed = 0
function check(what, holds, detail = '') {
  if (!holds) failed++
  console.log(`${holds ? 'ok    ' : 'FAILED'} ${what}${detail === '' ? '' : ` (${detail})`}`)
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const wrong = []
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'dark', acceptDownloads: true, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  page.on('pageerror', (error) => wrong.push(error.stack))
  page.on('console', (message) => { if (/Content Security Policy|Refused/.test(message.text())) wrong.push(message.text()) })
  return page
}
const tid = (page, id) => page.locator(`[data-testid="${id}"]`)
const wallMs = (page) => tid(page, 'playback-time').getAttribute('data-ms').then(Number)
const until = async (what, test, ms = 20_000) => {
  for (const end = Date.now() + ms; Date.now() < end;) {
    if (await test()) return true
    await new Promise((done) => setTimeout(done, 50))
  }
  console.log(`       (waited in vain: ${what})`)
  return false
}

try {
  // First run
  {
    const base = await mock(5191, { CLAIMED: '0' })
    const page = await open()
    await page.goto(base + '/live')
    await tid(page, 'claim-form').waitFor()
    await page.fill('#code', 'nope')
    await page.fill('#user', 'anna')
    await page.fill('#password', 'short')
    check('a short password cannot be sent', await page.locator('button[type=submit]').isDisabled())
    await page.fill('#password', 'correct horse battery')
    await page.click('button[type=submit]')
    await page.getByText('This is not the set-up code').waitFor()
    check('a wrong set-up code is named at its field', (await page.locator('#code').getAttribute('aria-invalid')) === 'true')
    await page.fill('#code', 'TEST-CODE')
    await page.click('button[type=submit]')
    await tid(page, 'recovery-key').waitFor()
    const stored = page.getByRole('button', { name: 'I have stored it' })
    const asked = Number((await page.getByText(/^Type group \d/).textContent()).match(/\d/)[0])
    const wanted = await tid(page, 'recovery-key').locator('li').nth(asked - 1).textContent()
    await page.fill('#group', wanted.split('').reverse().join(''))
    check('a recovery key that was not stored is not taken for stored', await stored.isDisabled())
    await page.fill('#group', wanted.toLowerCase())
    await stored.click()
    await tid(page, 'live-grid').waitFor()
    check('claiming shows the recovery key, then opens the recorder', true)
    await tid(page, 'log-out').click()
    await tid(page, 'login-form').waitFor()
    await page.fill('#user', 'anna')
    await page.fill('#password', 'wrong')
    await page.click('button[type=submit]')
    await page.getByText('User name or password is wrong.').waitFor()
    await page.fill('#password', 'correct horse battery')
    await page.click('button[type=submit]')
    await tid(page, 'live-grid').waitFor()
    check('logging out and in', true)
    await page.context().close()
  }

  const base = await mock(5192, { LOGGED_IN: '1' })

  // Live
  {
    const page = await open()
    const begun = Date.now()
    await page.goto(base + '/live')
    await page.locator('[data-testid="tile-1"][data-state="live"]').waitFor()
    check('first live picture within a second and a half of opening the page', Date.now() - begun < 1500, `${Date.now() - begun} ms`)
    for (const n of [2, 3]) await page.locator(`[data-testid="tile-${n}"][data-state="live"]`).waitFor()
    check('no signal has its tile', (await tid(page, 'tile-4').getAttribute('data-state')) === 'no_signal')
    check('wrong password has its tile', (await tid(page, 'tile-5').getAttribute('data-state')) === 'wrong_password')
    await page.waitForTimeout(6000)
    const edges = await page.evaluate(() => [1, 2, 3].map((n) => {
      const video = document.querySelector(`video[data-channel="${n}"]`)
      return video.buffered.end(video.buffered.length - 1) - video.currentTime
    }))
    check('within a second of the live edge', edges.every((edge) => edge < 1 && edge >= 0), edges.map((edge) => edge.toFixed(2)).join(' '))

    await tid(page, 'tile-2').locator('a').focus()
    const seen = page.evaluate(() => new Promise((done) => {
      // Every frame from the key press on: is any picture with content on top?
      let bare = 0
      let frames = 0
      const look = () => {
        const tile = document.querySelector('[data-testid="tile-2"]')
        const layers = [...tile.querySelectorAll('video')].filter((video) => getComputedStyle(video.closest('.layer')).opacity === '1')
        if (!layers.some((video) => video.readyState >= 2)) bare++
        if (++frames < 150) requestAnimationFrame(look)
        else done({ bare, frames })
      }
      requestAnimationFrame(look)
    }))
    await page.keyboard.press('Enter')
    const { bare, frames } = await seen
    check('enlarging never shows an empty picture', bare === 0, `${bare} of ${frames} frames`)
    check('the address names the channel', new URL(page.url()).pathname === '/live/2')
    await until('main stream plays', () => page.evaluate(() => document.querySelector('video[data-channel="2"][data-stream="main"]')?.currentTime > 0))
    await page.waitForTimeout(600)
    check('the sub stream is ended once the main one is seen', await page.evaluate(() => document.querySelector('video[data-channel="2"][data-stream="sub"]').paused))
    check('other tiles end their streams', await page.evaluate(() => document.querySelector('video[data-channel="1"]').paused))
    await tid(page, 'sound-button').click()
    await until('sound', () => page.evaluate(() => { const video = document.querySelector('video[data-channel="2"][data-stream="main"]'); return !video.muted && video.readyState >= 3 && (video.webkitAudioDecodedByteCount ?? 1) > 0 }))
    check('sound comes with its button', await page.evaluate(() => !document.querySelector('video[data-channel="2"][data-stream="main"]').muted))
    await page.keyboard.press('3')
    await page.waitForURL('**/live/3')
    await page.keyboard.press('Escape')
    await page.waitForURL('**/live')
    for (const n of [1, 2, 3]) await page.locator(`[data-testid="tile-${n}"][data-state="live"]`).waitFor()
    check('back in the grid all pictures live again', true)

    await page.evaluate(() => fetch('/mock/drop?ms=5000').catch(() => {}))
    await tid(page, 'connection-lost').waitFor()
    check('a lost connection is said quietly', (await tid(page, 'trust-line').getAttribute('data-state')) === 'stale')
    check('the tile says that it reconnects', (await tid(page, 'tile-1').getAttribute('data-state')) === 'reconnecting')
    const lost = Date.now()
    for (const n of [1, 2, 3]) await page.locator(`[data-testid="tile-${n}"][data-state="live"]`).waitFor()
    await tid(page, 'connection-lost').waitFor({ state: 'detached' })
    check('all pictures come back by themselves', true, `${((Date.now() - lost) / 1000).toFixed(1)} s`)
    await page.keyboard.press('?')
    await tid(page, 'keys-dialog').waitFor()
    await page.keyboard.press('Escape')
    await tid(page, 'keys-dialog').waitFor({ state: 'detached' })
    await tid(page, 'trust-line').getByRole('button').click()
    check('who is watching opens', await page.getByText('Watching now').isVisible())
    check('nothing of ours on window', await page.evaluate(() => {
      const frame = document.createElement('iframe')
      document.body.append(frame)
      const plain = new Set(Object.getOwnPropertyNames(frame.contentWindow))
      frame.remove()
      return Object.getOwnPropertyNames(window).filter((name) => !plain.has(name) && !/^\d+$|playwright|^__/.test(name))
    }).then((names) => names.length === 0 || names.join()) === true)
    await page.context().close()
  }

  // Playback
  {
    const page = await open()
    const asked = Math.floor(Date.now() / 1000) * 1000 - 4 * 60e3
    await page.goto(`${base}/playback?ch=1&t=${new Date(asked).toISOString()}`)
    const video = tid(page, 'playback-video')
    await until('plays', () => video.evaluate((element) => element.readyState >= 2 && element.currentTime > 0))
    check('opens at the asked time', Math.abs((await wallMs(page)) - asked) < 3000, `${(await wallMs(page)) - asked} ms on`)
    await page.waitForTimeout(1500)
    await page.keyboard.press(' ')
    await page.waitForTimeout(400)
    const a = await wallMs(page)
    await page.keyboard.press('ArrowRight')
    await until('steps', async () => (await wallMs(page)) !== a)
    const b = await wallMs(page)
    check('one frame on', b - a === 100, `${b - a} ms`)
    await page.keyboard.press('ArrowLeft')
    await until('steps back', async () => (await wallMs(page)) === a)
    check('one frame back', (await wallMs(page)) === a)
    await page.waitForTimeout(500)
    check('the address holds the moment', Math.abs(Date.parse(new URL(page.url()).searchParams.get('t')) - a) <= 1)
    await page.reload()
    await until('opens again', async () => Math.abs((await wallMs(page)) - a) < 4000)
    check('a reload opens the same moment', true)
    await page.keyboard.press('k')
    await page.keyboard.press('l')
    await page.keyboard.press('l')
    await page.keyboard.press('l')
    check('L goes faster', (await tid(page, 'playback-speed').textContent()) === '4×', await tid(page, 'playback-speed').textContent())
    const c = await wallMs(page)
    await page.waitForTimeout(2000)
    const sped = ((await wallMs(page)) - c) / 2000
    check('four times as fast', sped > 3 && sped < 5, sped.toFixed(2))
    for (let i = 0; i < 4; i++) await page.keyboard.press('j')
    check('J goes backwards', (await tid(page, 'playback-speed').textContent()) === '−1×', await tid(page, 'playback-speed').textContent())
    const d = await wallMs(page)
    await page.waitForTimeout(2000)
    const back = ((await wallMs(page)) - d) / 2000
    check('about as fast backwards', back < -0.6 && back > -1.3, back.toFixed(2))
    await page.keyboard.press('k')

    // Timeline
    const box = await tid(page, 'timeline').boundingBox()
    await page.mouse.click(box.x + box.width * 0.3, box.y + 28 + 10)
    const e = await wallMs(page)
    await until('seeks', async () => tid(page, 'playback-video').evaluate((element) => !element.seeking && element.readyState >= 2))
    check('a click on the timeline goes there', e < d - 60e3, new Date(e).toISOString())
    const span = () => page.locator('.span').textContent()
    const before = await span()
    await page.mouse.move(box.x + box.width / 2, box.y + 60)
    await page.mouse.wheel(0, -600)
    await page.waitForTimeout(100)
    check('the wheel zooms', (await span()) !== before, `${before} to ${await span()}`)
    await page.keyboard.press('-')
    await page.keyboard.press('+')
    await page.mouse.move(box.x + 200, box.y + 60)
    await page.mouse.down()
    await page.mouse.move(box.x + 500, box.y + 60, { steps: 5 })
    await page.mouse.up()
    check('a drag pans and does not seek', (await wallMs(page)) === e || Math.abs((await wallMs(page)) - e) < 200)

    // A gap on channel 3: ten seconds long, about five minutes ago
    const runs = (await (await page.request.get(`${base}/api/v1/timeline?start=${new Date(Date.now() - 36e5).toISOString()}&end=${new Date().toISOString()}&channel=3`)).json()).channels[0].runs
    const gapStart = Date.parse(runs.at(-2).end)
    const gapEnd = Date.parse(runs.at(-1).start)
    await page.goto(`${base}/playback?ch=3&t=${new Date(gapStart - 3000).toISOString()}`)
    await page.getByText(/Skipped 10 s without footage/).waitFor()
    await until('goes on behind the gap', async () => (await wallMs(page)) >= gapEnd)
    check('a gap is skipped with a word about it', (await wallMs(page)) >= gapEnd && (await wallMs(page)) < gapEnd + 4000)
    await page.keyboard.press('k')
    for (let i = 0; i < 3; i++) {
      await page.keyboard.press('Shift+ArrowLeft')
      await page.waitForTimeout(400)
    }
    check('ten seconds back three times leaps over the gap', (await wallMs(page)) < gapStart && (await wallMs(page)) > gapStart - 35e3, `${((await wallMs(page)) - gapStart) / 1000} s from it`)
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press('Shift+ArrowRight')
      await page.waitForTimeout(400)
    }
    check('and on again', (await wallMs(page)) > gapEnd && (await wallMs(page)) < gapEnd + 45e3, `${((await wallMs(page)) - gapEnd) / 1000} s from its end`)

    // Window to window: an asked time with its window's end in the past
    const early = Math.floor(Date.now() / 1000) * 1000 - 40 * 60e3
    await page.goto(`${base}/playback?ch=1&t=${new Date(early).toISOString()}`)
    await until('plays', () => tid(page, 'playback-video').evaluate((element) => element.readyState >= 2 && element.currentTime > 0))
    await page.evaluate(() => { document.querySelector('[data-testid="playback-video"]').dataset.first = 'yes' })
    const jump = new Date(early + 466e3)
    await page.locator('input.time').fill(jump.toLocaleTimeString('en-GB', { timeZone: 'Europe/Berlin' }))
    await page.keyboard.press('Enter')
    await until('in the next window', async () => (await wallMs(page)) > early + 481e3)
    check('the next window goes on without a break', (await tid(page, 'playback-video').getAttribute('data-first')) === null && (await wallMs(page)) < early + 490e3, `${((await wallMs(page)) - early) / 1000} s`)

    // No footage
    await page.goto(`${base}/playback?ch=4&t=${new Date(Date.now() - 120e3).toISOString()}`)
    await tid(page, 'no-footage').waitFor()
    check('no footage says so and offers the nearest', await page.getByRole('button', { name: /Footage until/ }).isVisible())

    // Export
    await page.goto(`${base}/playback?ch=1&t=${new Date(asked).toISOString()}`)
    await until('plays', () => tid(page, 'playback-video').evaluate((element) => element.readyState >= 2 && element.currentTime > 0))
    await page.keyboard.press('k')
    await page.waitForTimeout(300)
    await page.keyboard.press('[')
    await page.keyboard.press('Shift+ArrowRight')
    await page.waitForTimeout(500)
    await page.keyboard.press(']')
    await tid(page, 'export-button').click()
    await page.getByText(/10 s · MP4/).waitFor()
    const [download] = await Promise.all([page.waitForEvent('download'), tid(page, 'export-start').click()])
    const file = await download.path()
    check('an export is saved under the recorder’s name', /^candor-ch1-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.mp4$/.test(download.suggestedFilename()) && statSync(file).size > 1000, `${download.suggestedFilename()}, ${statSync(file).size} bytes`)
    check('its end is said', (await tid(page, 'export-progress').getAttribute('data-state')) === 'done')
    await page.keyboard.press('Escape')
    await page.context().close()
  }

  // A codec that the browser does not know
  {
    const other = await mock(5193, { LOGGED_IN: '1', CHANNELS: '7' })
    const page = await open()
    await page.goto(`${other}/playback?ch=7`)
    await tid(page, 'unplayable').waitFor()
    check('H.265 says so and offers the export', (await page.getByText('This browser cannot play H.265').isVisible()) && (await tid(page, 'unplayable').getByRole('button', { name: 'Export' }).isVisible()))
    await page.context().close()
  }

  // A slow export is left, seen on another page, and cancelled; touch
  {
    const slow = await mock(5194, { LOGGED_IN: '1', SLOW: '1' })
    const page = await open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true })
    await page.goto(`${slow}/playback?ch=1&t=${new Date(Date.now() - 20 * 60e3).toISOString()}`)
    await until('plays', () => tid(page, 'playback-video').evaluate((element) => element.readyState >= 2 && element.currentTime > 0))
    const box = await tid(page, 'timeline').boundingBox()
    const touch = await page.context().newCDPSession(page)
    const fingers = (type, ...xs) => touch.send('Input.dispatchTouchEvent', { type, touchPoints: xs.map((x, id) => ({ x: box.x + x, y: box.y + 70, id })) })
    const valueRange = () => tid(page, 'timeline').evaluate((element) => element.ariaValueMax - element.ariaValueMin)
    const wide = await valueRange()
    await fingers('touchStart', 100, 140)
    await fingers('touchMove', 60, 180)
    await fingers('touchMove', 20, 220)
    await fingers('touchEnd')
    check('two fingers zoom the timeline', (await valueRange()) < wide / 3, `${wide} s to ${await valueRange()} s`)
    await page.evaluate(() => document.querySelector('[data-testid="timeline"]').focus())
    for (let i = 0; i < 3; i++) await page.keyboard.press('-')
    const t0 = await wallMs(page)
    await fingers('touchStart', 40)
    await fingers('touchEnd')
    await until('tap seeks', async () => Math.abs((await wallMs(page)) - t0) > 60e3)
    check('a tap goes there', Math.abs((await wallMs(page)) - t0) > 60e3)
    await until('plays', () => tid(page, 'playback-video').evaluate((element) => element.readyState >= 2 && !element.seeking))
    const range = await tid(page, 'timeline').evaluate((element) => [Number(element.ariaValueMin), Number(element.ariaValueMax), Number(element.ariaValueNow)])
    const headX = ((range[2] - range[0]) / (range[1] - range[0])) * box.width
    await fingers('touchStart', headX)
    for (let step = 1; step <= 8; step++) await fingers('touchMove', headX + step * 6)
    const under = () => tid(page, 'timeline').evaluate((element) => (Number(element.ariaValueNow) - Number(element.ariaValueMin)) / (Number(element.ariaValueMax) - Number(element.ariaValueMin))).then((part) => part * box.width)
    check('the playhead stays under the finger', await until('follows', async () => Math.abs((await under()) - headX - 48) < 2, 2000), `${(await under()).toFixed(1)} px at ${(headX + 48).toFixed(1)} px`)
    await fingers('touchEnd')
    await page.keyboard.press('k')
    await tid(page, 'export-button').tap()
    await tid(page, 'export-from').fill('09:00')
    await tid(page, 'export-to').fill('09:20:00')
    await page.getByText(/20 min · MP4/).waitFor()
    await tid(page, 'export-start').tap()
    await page.getByText(/[1-9]\d* %/).waitFor()
    check('an export shows how far it is', true, await tid(page, 'export-progress').locator('.dim').textContent())
    await page.getByRole('button', { name: 'Close' }).last().tap()
    await page.getByRole('link', { name: 'Health' }).tap()
    await tid(page, 'health-roles').waitFor()
    check('it goes on while pages change', (await tid(page, 'export-progress').getAttribute('data-state')) === 'running')
    await tid(page, 'export-cancel').tap()
    check('and can be cancelled', await until('cancelled', async () => (await tid(page, 'export-progress').getAttribute('data-state')) === 'cancelled'))
    await page.context().close()
  }

  // Settings
  {
    const page = await open()
    await page.goto(`${base}/settings/cameras`)
    await tid(page, 'camera-add').click()
    await page.fill('#camera-title', 'Yard')
    await page.fill('#camera-url', 'http://192.0.2.9/')
    await page.locator('[data-testid="camera-form"] button[type=submit]').click()
    await page.getByText('Write the address like rtsp://').waitFor()
    await page.fill('#camera-url', 'rtsp://root:se%20cret@192.0.2.9/stream1')
    await page.locator('#camera-title').focus()
    check('a password in the address moves into its field', (await page.inputValue('#camera-url')) === 'rtsp://192.0.2.9/stream1' && (await page.inputValue('#camera-password')) === 'se cret')
    await page.locator('[data-testid="camera-form"] button[type=submit]').click()
    const row = tid(page, 'camera-row-6')
    await row.waitFor()
    check('a camera is added', /Yard/.test(await row.textContent()))
    await row.getByRole('button', { name: 'Edit Yard' }).click()
    check('the password is kept, not shown', (await page.inputValue('#camera-password')) === '' && (await page.getAttribute('#camera-password', 'placeholder')) === 'kept')
    await page.fill('#camera-title', 'Yard east')
    await page.locator('[data-testid="camera-form"] button[type=submit]').click()
    await page.getByText('Yard east').first().waitFor()
    await row.getByRole('button', { name: 'Remove Yard east' }).click()
    const act = page.getByRole('button', { name: 'Remove the camera' })
    check('removing wants the title typed', await act.isDisabled())
    await page.fill('#confirm', 'Yard east')
    await act.click()
    await row.waitFor({ state: 'detached' })
    check('a camera is removed', true)
    await page.goto(`${base}/settings/access`)
    await page.fill('#key-name', 'reception')
    await page.locator('[data-testid="stream-key-form"] button').click()
    check('a key is shown once with an address', /^rtsp:\/\/reception:kestrel.*\/ch1\/main$/.test(await tid(page, 'stream-url').inputValue()), await tid(page, 'stream-url').inputValue())
    await page.getByRole('button', { name: 'I have stored it' }).click()
    await page.goto(`${base}/settings/general`)
    await page.getByLabel('Light').check()
    check('the looks can be chosen', (await page.evaluate(() => document.documentElement.dataset.theme)) === 'light')
    await page.reload()
    check('and stay chosen', (await page.evaluate(() => document.documentElement.dataset.theme)) === 'light')
    await page.goto(`${base}/health`)
    await tid(page, 'health-roles').waitFor()
    check('health lists the roles', (await tid(page, 'health-roles').locator('tr[data-role]').count()) === 5)
    check('health says for how long footage stays', (await tid(page, 'disk-stays').first().textContent()).startsWith('about 42 days'))
    await tid(page, 'lock-row').getByRole('button').click()
    await tid(page, 'confirm-dialog').locator('input').fill('UNLOCK')
    await page.getByRole('button', { name: 'Unlock', exact: true }).click()
    check('kept footage is unlocked', await until('no lock', async () => (await tid(page, 'lock-row').count()) === 0))
    await page.goto(`${base}/settings/cameras`)
    await tid(page, 'camera-row-1').getByRole('button', { name: /^Keep/ }).click()
    await page.getByLabel(/for a number of days/).check()
    await page.fill('#keep-days', '5')
    await page.getByRole('button', { name: 'Save' }).click()
    check('days that do not go together are refused', /another channel keeps 7 days/.test(await tid(page, 'keep-form').locator('.wrong').textContent()))
    await page.fill('#keep-days', '30')
    await page.getByRole('button', { name: 'Save' }).click()
    check('footage is kept for a number of days', await until('30 days', async () => (await tid(page, 'camera-row-1').textContent()).includes('Kept 30 days')))
    await page.goto(`${base}/playback?ch=1`)
    await until('a picture', async () => (await wallMs(page)) > 0)
    await tid(page, 'lock-button').click()
    await page.fill('#lock-reason', 'a broken window')
    await page.getByRole('button', { name: 'Keep', exact: true }).last().click()
    check('what is played can be kept', /134 MB/.test(await tid(page, 'lock-done').textContent()))
    await page.getByRole('button', { name: 'Close', exact: true }).last().click()
    check('and is no export', (await tid(page, 'export-dialog').count()) === 0)
    await page.context().close()
  }

  // Narrow
  {
    const page = await open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true })
    for (const path of ['/live', '/live/1', '/playback?ch=1', '/events', '/ledger', '/settings/general', '/settings/cameras', '/settings/access', '/health']) {
      await page.goto(base + path)
      await page.waitForTimeout(500)
      const over = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll('.page, .grid, .playback, footer')].filter((element) => element.scrollWidth > element.clientWidth + 1).map((element) => `${element.className || element.tagName} ${element.scrollWidth}>${element.clientWidth}`))
      check(`360 px: ${path} fits`, over.length === 0, over.join())
    }
    await page.context().close()
  }
  check('no script error and no breach of the CSP', wrong.length === 0, wrong.slice(0, 3).join('\n'))
} catch (error) {
  failed++
  console.log(`FAILED ${error.stack}`)
} finally {
  await browser.close()
  for (const child of mocks) child.kill()
}
console.log(failed ? `${failed} failed` : 'all hold')
process.exit(failed ? 1 : 0)
