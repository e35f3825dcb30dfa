// Health, and what a page does when a role of the recorder is killed: it recovers by itself.
import { expectMoving, fillLogin, markThat, picture, tile } from '../support/app.mjs'
import { expect, test } from '../support/test.mjs'

const roleRow = (page, role) => page.getByTestId('health-roles').locator(`tr[data-role="${role}"]`)

const pidOf = async (api, role) => (await api('GET', '/system')).roles.find((one) => one.role === role).pid

/** Kills the role's process as the kernel would, and gives the time. */
async function kill(api, role) {
  const pid = await pidOf(api, role)
  const ms = Date.now()
  process.kill(pid, 'SIGKILL')
  return { pid, ms }
}

/** A mark that a reload would wipe away. */
const stamp = (page) => page.evaluate(() => { globalThis.notReloaded = true })
const expectNotReloaded = async (page) => expect(await page.evaluate(() => globalThis.notReloaded)).toBe(true)

test('four roles run, the disk takes footage', async ({ owned: page }) => {
  await page.goto('/health')
  for (const role of ['capture', 'ingest', 'record', 'serve']) {
    await expect(roleRow(page, role)).toHaveAttribute('data-state', 'running')
    await expect(roleRow(page, role)).toContainText(/MB/)
  }
  await expect(page.getByTestId('trust-line')).toContainText('4 of 4 roles running')
  await expect(page.getByTestId('trust-line')).toContainText('4 of 4 channels recording')
  await expect(page.locator('#disks')).toContainText(/Writing/)
})

test('for how long footage stays is shown, as far as the recorder can tell', async ({ owned: page, api }) => {
  const told = (await api('GET', '/system')).disks.flatMap((disk) => disk.retention).filter((one) => one.used_bytes > 0)
  expect(told.length).toBeGreaterThan(0)
  await page.goto('/health')
  const shown = page.locator('#disks').getByTestId('disk-stays')
  await expect(shown).toHaveCount(told.length)
  // In the first hour of a disk it may not be known, but where somebody set days.
  for (let number = 0; number < told.length; number++) await expect(shown.nth(number)).toContainText(/^(not known yet|about \d+ (hours?|days)|\d+ days?)/)
})

/** What browsers say while nobody listens. */
const OFFLINE = [/ERR_(CONNECTION|HTTP2|SSL|EMPTY_RESPONSE|SOCKET|ABORTED|FAILED|NETWORK|INCOMPLETE)/, /WebSocket connection to/]

test('serve is killed: the page recovers by itself, and the session holds', async ({ owned: page, api, complaints }) => {
  complaints.allow(...OFFLINE)
  const signedInMs = Date.now()
  await page.goto('/live')
  // The warden hears of new sessions with the next report of serve, within seconds.
  await markThat(picture(page, 1), 'some seconds of live pictures', (mark) => mark.wallMs > signedInMs + 4_000)
  await stamp(page)
  const { pid, ms } = await kill(api, 'serve')
  await markThat(picture(page, 1), 'new pictures of channel 1', (mark) => mark.wallMs > ms + 1_000)
  console.log(`serve was killed: a picture of one second later after ${Date.now() - ms} ms`)
  await expect(page.getByTestId('login-form')).toHaveCount(0)
  for (const channel of [1, 2, 3]) await expect(tile(page, channel)).toHaveAttribute('data-state', 'live')
  await expectMoving(picture(page, 1), 'channel 1 after')

  await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Health' }).click()
  await expect(roleRow(page, 'serve')).toHaveAttribute('data-state', 'running')
  await expect(roleRow(page, 'serve').locator('[data-label="PID"]')).not.toHaveText(String(pid))
  await expect(roleRow(page, 'serve').locator('[data-label="Restarts"]')).toHaveText('1')
  await expectNotReloaded(page)
})

test('a session that is over is said, and after the log-in the page goes on where it was', async ({ owned: page, context, api, claimed, complaints }) => {
  complaints.allow(...OFFLINE, /401 /)
  await page.goto('/live/2')
  await expectMoving(picture(page, 2, 'main'), 'channel 2 before')
  await stamp(page)
  const pid = await pidOf(api, 'serve')
  await context.clearCookies()
  const ms = Date.now()
  process.kill(pid, 'SIGKILL')
  await expect(page.getByTestId('login-form')).toBeVisible()
  await expect(page.getByText('Your session has ended.')).toBeVisible()
  await fillLogin(page, claimed)
  await expect(page).toHaveURL('/live/2')
  await markThat(picture(page, 2, 'main'), 'new pictures of channel 2', (mark) => mark.wallMs > ms)
  await expectNotReloaded(page)
})

test('capture is killed: its tiles come back without a reload', async ({ owned: page, api }) => {
  await page.goto('/live')
  for (const channel of [1, 2]) await expectMoving(picture(page, channel), `channel ${channel} before`)
  await stamp(page)
  const { ms } = await kill(api, 'capture')
  for (const channel of [1, 2]) {
    await markThat(picture(page, channel), `new pictures of channel ${channel}`, (mark) => mark.wallMs > ms + 500)
    await expect(tile(page, channel)).toHaveAttribute('data-state', 'live')
    await expectMoving(picture(page, channel), `channel ${channel} after`)
  }
  console.log(`capture was killed: pictures again after ${Date.now() - ms} ms`)
  await expectMoving(picture(page, 3, 'main'), 'the camera, which is not capture\'s')
  await expectNotReloaded(page)
})

test('ingest and record are killed: the camera comes back, and recording goes on', async ({ owned: page, api, complaints }) => {
  // The health page asks for what is locked while nobody can tell.
  complaints.allow(/503 .*\/api\/v1\/locks$/)
  await page.goto('/live')
  await expectMoving(picture(page, 3, 'main'), 'the camera before')
  await stamp(page)
  const { ms } = await kill(api, 'ingest')
  await kill(api, 'record')
  await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Health' }).click()
  for (const role of ['ingest', 'record']) {
    await expect(roleRow(page, role).locator('[data-label="Restarts"]')).toHaveText('1')
    await expect(roleRow(page, role)).toHaveAttribute('data-state', 'running')
  }
  await expect(page.getByTestId('trust-line')).toHaveAttribute('data-state', 'ok')
  await page.keyboard.press('g')
  await expect(tile(page, 3)).toHaveAttribute('data-state', 'live')
  await expectMoving(picture(page, 3, 'main'), 'the camera after')
  await expectNotReloaded(page)

  const since = new Date(ms - 20_000).toISOString()
  await expect.poll(async () => {
    const { channels } = await api('GET', `/timeline?start=${since}&end=${new Date().toISOString()}`)
    return Math.min(...[1, 2, 3].map((number) => Date.parse(channels.find((one) => one.channel === number).newest)))
  }, 'all three record again').toBeGreaterThan(ms + 5_000)
  const { channels } = await api('GET', `/timeline?start=${since}&end=${new Date().toISOString()}&channel=1`)
  expect(channels[0].runs.length, 'channel 1, which neither capture nor a camera lost, has no gap over 2 s').toBe(1)
})
