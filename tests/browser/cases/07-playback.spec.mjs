// Playback: the asked moment is the one in the picture; frame by frame, faster, backwards, over a gap.
import { markOf, markThat } from '../support/app.mjs'
import { expect, test } from '../support/test.mjs'

const FRAME_MS = 1000 / 15

const time = (ms) => new Date(ms).toISOString()
const clock = (ms) => time(ms).slice(11, 19)
const wholeSec = (ms) => Math.floor(ms / 1000) * 1000

/** Two minutes back, and a little more that is certainly on the disk. */
const ENOUGH_SEC = 130

const video = (page) => page.getByTestId('playback-video')
const shownMs = (page) => page.getByTestId('playback-time').getAttribute('data-ms').then(Number)

/** Types a time of day into the page; it then stands there, paused or playing as before. */
async function goTo(page, ms) {
  await page.getByLabel('Time', { exact: true }).fill(clock(ms))
  await page.keyboard.press('Enter')
}

async function pause(page) {
  await page.getByRole('button', { name: 'Pause', exact: true }).and(page.getByTestId('play-button')).click()
  await expect(video(page)).toHaveJSProperty('paused', true)
}

test('the moment two minutes ago is shown, and every other that is asked for', async ({ owned: page, recorded }) => {
  test.setTimeout(300_000)
  await recorded(ENOUGH_SEC)
  const asked = Date.now() - 120_000
  await page.goto(`/playback?ch=1&t=${time(asked)}`)
  await expect.poll(() => page.evaluate(() => look.playback?.mark ?? null), 'the first picture of playback').not.toBeNull()
  const first = await page.evaluate(() => look.playback)
  console.log(`playback: first picture ${Math.round(first.atMs)} ms after opening the page, ${first.mark.wallMs - asked} ms from the asked moment`)
  expect(first.mark.channel).toBe(1)
  expect(Math.abs(first.mark.wallMs - asked), 'between the asked moment and the clock in the picture, in ms').toBeLessThan(1_000)
  await markThat(video(page), 'it plays', (mark) => mark.counter > first.mark.counter + 5)
  await pause(page)

  for (const backMs of [40_000, 95_000, 15_000]) {
    const ms = wholeSec(Date.now() - backMs)
    await goTo(page, ms)
    const mark = await markThat(video(page), `the picture of ${clock(ms)}`, ({ wallMs }) => Math.abs(wallMs - ms) < 1_000)
    expect(Math.abs(mark.wallMs - ms), 'in ms; the picture shown then began up to a frame before').toBeLessThan(2 * FRAME_MS)
    expect(mark.channel).toBe(1)
    await expect.poll(async () => Math.abs((await shownMs(page)) - (await markOf(video(page))).wallMs), 'the clock of the page is the one in the picture').toBeLessThan(50)
  }

  await test.step('another channel at the same moment', async () => {
    const at = await shownMs(page)
    await page.keyboard.press('2')
    const mark = await markThat(video(page), 'channel 2', ({ channel }) => channel === 2)
    expect(Math.abs(mark.wallMs - at)).toBeLessThan(1_000)
  })
})

test('frame by frame, at other speeds, backwards', async ({ owned: page, recorded }) => {
  test.setTimeout(300_000)
  await recorded(ENOUGH_SEC)
  const asked = wholeSec(Date.now() - 110_000)
  await page.goto(`/playback?ch=2&t=${time(asked)}`)
  await markOf(video(page))
  await pause(page)

  await test.step('one frame is one frame', async () => {
    let { counter } = await markOf(video(page))
    for (const [key, by] of [['ArrowRight', 1], ['ArrowRight', 1], ['ArrowRight', 1], ['ArrowLeft', -1], ['ArrowLeft', -1], ['ArrowRight', 1]]) {
      await page.keyboard.press(key)
      const next = await markThat(video(page), `after ${key}`, (mark) => mark.counter !== counter)
      expect(next.counter - counter, key).toBe(by)
      counter = next.counter
    }
  })

  /** Seconds of footage that pass in a second. */
  const pace = () => video(page).evaluate((element) => new Promise((done, failed) => {
    let begin = null
    const deadline = performance.now() + 20_000
    const see = () => {
      const mark = look.mark(element)
      const nowMs = performance.now()
      begin ??= mark && { wallMs: mark.wallMs, nowMs }
      if (begin && mark && nowMs - begin.nowMs > 2_500) done((mark.wallMs - begin.wallMs) / (nowMs - begin.nowMs))
      else if (nowMs > deadline) failed(new Error('no picture to measure'))
      else requestAnimationFrame(see)
    }
    see()
  }))

  await test.step('faster', async () => {
    for (const _ of [1, 2, 4]) await page.keyboard.press('l')
    await expect(page.getByTestId('playback-speed')).toHaveText('4×')
    const { counter } = await markOf(video(page))
    await markThat(video(page), 'it plays', (mark) => mark.counter > counter + 5)
    const speed = await pace()
    expect(speed).toBeGreaterThan(2.8)
    expect(speed).toBeLessThan(5.2)
  })

  await test.step('slower', async () => {
    for (const _ of [2, 1, 0.5]) await page.keyboard.press('j')
    await expect(page.getByTestId('playback-speed')).toHaveText('0.5×')
    const speed = await pace()
    expect(speed).toBeGreaterThan(0.3)
    expect(speed).toBeLessThan(0.7)
  })

  await test.step('backwards', async () => {
    await page.keyboard.press('j')
    await expect(page.getByTestId('playback-speed')).toHaveText('−1×')
    const { counter } = await markOf(video(page))
    await markThat(video(page), 'backwards', (mark) => mark.counter < counter - 10)
    await page.keyboard.press('k')
    await expect(video(page)).toHaveJSProperty('paused', true)
  })
})

test('a gap is drawn, told, and stepped over', async ({ owned: page, runsOf, recorded, recorder, complaints }) => {
  // Where nothing is recorded the API says "not found", which browsers note as an error.
  complaints.allow(/404 .*\/recording\?/)
  test.setTimeout(300_000)
  await recorded(ENOUGH_SEC)
  const runs = await runsOf(4)
  expect(runs.length, 'five seconds of each twenty are missing').toBeGreaterThanOrEqual(4)
  const [before, after] = runs.slice(-3)
  expect(Math.abs(after.startMs - before.endMs - 5_000), 'length of the gap, from 5 s').toBeLessThan(700)

  await page.goto(`/playback?ch=4&t=${time(before.endMs - 2_000)}`)
  await markThat(video(page), 'the end of the run before', ({ wallMs }) => wallMs < before.endMs)
  await expect(page.getByRole('status').filter({ hasText: /Skipped 5 s without footage/ })).toBeVisible()
  const mark = await markThat(video(page), 'behind the gap', ({ wallMs }) => wallMs >= after.startMs)
  expect(mark.wallMs - after.startMs, 'little of what comes after is left out, in ms').toBeLessThan(3_000)
  expect(mark.channel).toBe(4)
  await page.keyboard.press('k')

  // The pointer over the gap says what it is.
  const timeline = page.getByTestId('timeline')
  const span = () => timeline.evaluate((element) => ({ from: Number(element.ariaValueMin) * 1000, to: Number(element.ariaValueMax) * 1000 }))
  await expect.poll(async () => {
    await page.keyboard.press('+')
    const { from, to } = await span()
    return to - from
  }, 'zooms in').toBeLessThan(4 * 60_000)
  const { from, to } = await span()
  const box = await timeline.boundingBox()
  const rows = box.height - 28
  const x = box.x + (box.width * ((before.endMs + after.startMs) / 2 - from)) / (to - from)
  await page.mouse.move(x, box.y + 28 + rows * (3.5 / 4))
  await expect(page.getByText(/^No footage \d\d:\d\d:\d\d – \d\d:\d\d:\d\d, 5 s$/)).toBeVisible()

  await page.goto(`/playback?ch=4&t=${time(recorder.startedMs - 3_600_000)}`)
  await expect(page.getByTestId('no-footage'), 'before the first footage').toBeVisible()
})
