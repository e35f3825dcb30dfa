// A recorder on its own board, from the outside: claimed with its code, live in the grid, and it says what it runs.
// BOARD_URL and SETUP_CODE must be given; CAMERA_URL, an RTSP address as the board sees it, is added as a camera first.
import { expectMoving, fillLogin, shoot } from '../support/app.mjs'
import { OFFLINE } from '../support/mock.mjs'
import { test as base, expect } from '../support/test.mjs'

const { BOARD_URL, SETUP_CODE, CAMERA_URL, BOARD_USER = 'anna', BOARD_PASSWORD = 'correct horse battery' } = process.env
const owner = { user: BOARD_USER, password: BOARD_PASSWORD }

const test = base.extend({
  recorder: async ({}, use) => {
    if (!BOARD_URL) throw new Error('BOARD_URL names no recorder, e.g. https://127.0.0.1:8443')
    await use({ base: BOARD_URL.replace(/\/$/, '') })
  },
})

test('the board is claimed, shows a moving picture, and says what it runs', async ({ page, recorder, request, complaints }) => {
  complaints.allow(...OFFLINE)
  const { claimed } = await (await request.get(`${recorder.base}/api/v1/state`)).json()
  await page.goto('/live')
  if (claimed) {
    await fillLogin(page, owner)
  } else {
    expect(SETUP_CODE, 'SETUP_CODE, as the board shows it').toBeTruthy()
    const form = page.getByTestId('claim-form')
    await form.getByLabel('Set-up code').fill(SETUP_CODE)
    await form.getByLabel('Your user name').fill(owner.user)
    await form.getByLabel('Password', { exact: true }).fill(owner.password)
    await form.getByRole('button', { name: /Claim/ }).click()
    await page.getByTestId('recovery-confirm').getByRole('button', { name: 'Not now' }).click()
  }
  await expect(page.getByTestId('claim-form')).toHaveCount(0)
  await expect(page.getByTestId('trust-line')).toContainText('watching')

  if (CAMERA_URL) {
    await test.step('a camera is added', async () => {
      await page.goto('/settings/cameras')
      await page.getByTestId('camera-add').click()
      const form = page.getByTestId('camera-form')
      await form.getByLabel('Title').fill('Board camera')
      await form.getByLabel('Address').fill(CAMERA_URL)
      await form.getByRole('button', { name: 'Add' }).click()
      await expect(form).toHaveCount(0)
      await page.goto('/live')
    })
  }

  await test.step('a picture moves in the grid', async () => {
    const live = page.locator('[data-testid^="tile-"][data-state="live"]').first()
    await expect(live).toBeVisible()
    await expectMoving(live.locator('video').first(), 'a picture of the board')
    await shoot(page, 'board-live')
  })

  await test.step('it says what it runs', async () => {
    await page.goto('/settings/update')
    const runs = page.getByTestId('update-runs')
    await expect(runs).toContainText(/Candor \d+\.\d+\.\d+/)
    await expect(runs, 'an image, by its hash').toContainText(/[0-9a-f]{8}…[0-9a-f]{4}/)
    await expect(runs).toContainText(/the (release|owner) key/)
    await expect(page.getByTestId('update-keys')).toContainText('Release key')
    await shoot(page, 'board-update')
  })
})
