// Updates: sent, watched, cancelled, refused, rolled back, from a stick; the owner key. Against the mock.
import { shoot } from '../support/app.mjs'
import { OFFLINE, bundle, expect, test } from '../support/mock.mjs'

const PAGE = '/settings/update'
const progress = (page) => page.getByTestId('update-progress')
const step = (page, name) => expect(progress(page)).toHaveAttribute('data-step', name)
const present = (page) => progress(page).locator('[aria-current="step"]')

async function open(page) {
  await page.goto(PAGE)
  await expect(page.getByTestId('update-runs')).toContainText('Candor 0.1.0')
}

async function send(page, file) {
  await page.getByTestId('update-file').setInputFiles(file)
  await page.getByTestId('update-start').click()
}

test('what runs is told, and can be copied', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await open(page)
  const runs = page.getByTestId('update-runs')
  await expect(runs).toContainText('the release key')
  await expect(runs).toContainText('0.0.9, whole and ready')
  await expect(page.getByTestId('update-last')).toContainText('0.1.0 runs and was found healthy')
  await runs.getByRole('button', { name: 'Copy the image' }).click()
  await expect(runs.getByText('Copied')).toBeAttached()
  const hash = await page.evaluate(() => navigator.clipboard.readText())
  expect(hash).toMatch(/^[0-9a-f]{64}$/)
  await expect(runs).toContainText(`${hash.slice(0, 8)}…${hash.slice(-4)}`)
  await expect(page.getByTestId('image-line').last(), 'the foot of Settings').toContainText(`Candor 0.1.0 · commit`)
  await page.getByRole('navigation', { name: 'Topics' }).getByRole('link', { name: /General/ }).click()
  await expect(page.getByTestId('image-line'), 'the foot of every topic').toContainText('slot A')
})

test('an update is chosen, sent, left and come back to, waited for, and found healthy', async ({ page, mock, complaints }) => {
  complaints.allow(...OFFLINE)
  await mock('plan', { hold: 'receiving', downMs: 4_000 })
  await open(page)
  await page.getByTestId('update-file').setInputFiles(bundle('0.2.0'))
  await expect(page.getByTestId('update-picked')).toContainText('says it is 0.2.0 for virt-a7, commit 5f0c2d7e9')
  await page.getByRole('button', { name: 'Install 0.2.0' }).click()
  await step(page, 'receiving')
  await expect(progress(page)).toContainText('Updating from 0.1.0 to 0.2.0')
  await expect(present(page)).toContainText(/KB of \d{3} KB/)
  await expect(present(page)).toContainText(/[1-9]\d? %/)
  await expect(present(page).getByRole('progressbar', { name: 'Receiving' })).toBeVisible()
  await shoot(page, 'update-receiving')

  await page.evaluate(() => { globalThis.notReloaded = true })
  await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Health' }).click()
  const chip = page.getByTestId('update-chip')
  await expect(chip).toContainText(/Update: receiving \d+ %/)
  await chip.click()
  await step(page, 'receiving')

  await mock('plan', { hold: 'verifying' })
  await step(page, 'verifying')
  await expect(page.getByTestId('update-cancel')).toBeEnabled()
  await mock('plan', { hold: 'installing' })
  await step(page, 'installing')
  await expect(present(page)).toContainText('Writing')
  await expect(present(page)).toContainText(/\d+ KB of \d{3} KB/)
  await expect(page.getByTestId('update-cancel'), 'writing cannot be cancelled').toHaveCount(0)
  await mock('plan', { hold: 'checking' })
  await step(page, 'restarting')
  await expect(page.getByTestId('update-away'), 'the silence is counted').toContainText(/No answer for [1-9]/)
  await expect(page.getByTestId('connection-lost')).toBeVisible()
  await shoot(page, 'update-restarting')

  await step(page, 'checking')
  await expect(page.getByTestId('connection-lost')).toHaveCount(0)
  await expect(page.getByTestId('update-runs')).toContainText('on trial')
  await expect(present(page)).toContainText('Waiting for a picture of every channel.')
  await mock('plan', { hold: null })
  const result = page.getByTestId('update-result')
  await expect(result).toContainText('0.2.0 runs and was found healthy')
  await expect(progress(page)).toHaveCount(0)
  await expect(page.getByTestId('update-runs')).toContainText('Candor 0.2.0')
  await expect(page.getByTestId('update-runs').locator('[data-state="good"]')).toContainText('0.1.0, whole and ready')
  expect(await page.evaluate(() => globalThis.notReloaded), 'it came back without a reload').toBe(true)
  await shoot(page, 'update-good')

  await result.getByRole('button', { name: 'Reload' }).click()
  await expect(page.getByTestId('update-last'), 'after the reload it is still told').toContainText('0.2.0 runs and was found healthy')
  await expect(result).toHaveCount(0)
})

test('a version that does not become healthy: the one before runs again, and the page says so', async ({ page, mock, complaints }) => {
  complaints.allow(...OFFLINE)
  await mock('plan', { outcome: 'rolled_back', downMs: 2_500 })
  await open(page)
  await send(page, bundle('0.2.0'))
  const result = page.getByTestId('update-result')
  await expect(result).toContainText('0.2.0 did not become healthy; 0.1.0 runs again, nothing was lost')
  await expect(result).toContainText('Channel 2 recorded nothing')
  await expect(result.getByRole('button', { name: 'Reload' })).toHaveCount(0)
  await expect(page.getByTestId('update-runs').locator('[data-state="failed"]')).toContainText('0.2.0')
  await expect(page.getByTestId('update-install')).toBeVisible()
  await shoot(page, 'update-rolled-back')
})

test('the log-in that a restart may ask for does not lose what became of the update', async ({ page, mock, complaints }) => {
  complaints.allow(...OFFLINE, /401 /)
  await mock('plan', { hold: 'checking', downMs: 3_000, forgetSessions: true })
  await open(page)
  await send(page, bundle('0.2.0'))
  await step(page, 'restarting')
  await expect(page.getByTestId('login-form')).toBeVisible()
  await page.getByLabel('User name').fill('anna')
  await page.getByLabel('Password').fill('correct horse battery')
  await page.getByTestId('login-form').getByRole('button').click()
  await step(page, 'checking')
  await mock('plan', { hold: null })
  await expect(page.getByTestId('update-result')).toContainText('0.2.0 runs and was found healthy')
})

test('the connection is lost and found again while the recorder receives: the progress goes on', async ({ page, mock, recorder, complaints }) => {
  complaints.allow(...OFFLINE)
  await mock('update', { stage: { code: 'receiving', message: '', done_bytes: 10, total_bytes: 100, version: '0.2.0' } })
  await open(page)
  await step(page, 'receiving')
  await page.evaluate((base) => fetch(`${base}/mock/drop?ms=2500`), recorder.base)
  await expect(page.getByTestId('connection-lost')).toBeVisible()
  await step(page, 'receiving')
  await expect(page.getByTestId('connection-lost')).toHaveCount(0)
  await mock('update', { stage: { code: 'receiving', message: '', done_bytes: 60, total_bytes: 100, version: '0.2.0' } })
  await expect(present(page)).toContainText('60 %')
})

test('an upload that breaks off half-way changes nothing and is sent again', async ({ page, mock, complaints }) => {
  complaints.allow(...OFFLINE)
  await mock('plan', { cutAtBytes: 2_000_000, bytesPerSec: 8e6 })
  await open(page)
  await send(page, bundle('0.2.0', { bytes: 6_000_000 }))
  const failure = page.getByTestId('update-failure')
  await expect(failure).toHaveAttribute('data-code', 'network')
  await expect(failure).toContainText(/The connection broke at [1-9]\d? %/)
  await expect(failure).toContainText('Nothing was changed: 0.1.0 goes on running and recording.')
  await expect(failure).toContainText('Check the network')
  await shoot(page, 'update-broken')
  await mock('plan', { cutAtBytes: null, hold: 'installing' })
  await failure.getByRole('button', { name: 'Send again' }).click()
  await step(page, 'installing')
  await expect(failure).toHaveCount(0)
})

test('an upload is cancelled', async ({ page, mock, complaints }) => {
  complaints.allow(/409 .*\/update$/)
  await mock('plan', { hold: 'receiving' })
  await open(page)
  await send(page, bundle('0.2.0'))
  await step(page, 'receiving')
  await page.getByTestId('update-cancel').click()
  const failure = page.getByTestId('update-failure')
  await expect(failure).toHaveAttribute('data-code', 'cancelled')
  await expect(failure).toContainText('What had arrived was thrown away.')
  await expect(failure).toContainText('Nothing was changed')
  await expect(progress(page)).toHaveCount(0)
})

test('cancelling too late is said', async ({ page, mock, complaints }) => {
  complaints.allow(/409 .*\/update$/)
  await mock('update', { stage: { code: 'verifying', message: '', done_bytes: 0, total_bytes: 0, version: '0.2.0' } })
  await open(page)
  await page.route('**/api/v1/update', (route) => (route.request().method() === 'DELETE'
    ? route.fulfill({ status: 409, json: { error: { code: 'too_late', message: 'It is being written.' } } })
    : route.continue()))
  await page.getByTestId('update-cancel').click()
  await expect(progress(page).getByRole('alert')).toContainText('too late to cancel')
})

const REFUSALS = [
  [422, 'wrong_board', 'This is for hi3521a.', 'made for other hardware'],
  [422, 'bad_signature', 'No trusted key signed it.', 'Nobody whom this recorder trusts'],
  [422, 'damaged', 'The hash is wrong.', 'The file is damaged'],
  [422, 'expired', 'It ran out on 1 May.', 'has run out'],
  [409, 'busy', 'An update is on its way.', 'Another update is on its way'],
  [409, 'not_supported', 'This recorder has no flash.', 'does not take updates here'],
  [413, 'too_large', 'No update is larger than 64 MB.', 'larger than any update'],
  [507, 'no_space', 'There is no disk.', 'no room to keep the update'],
  [400, 'body_too_slow', 'Nothing arrived for a while.', 'too slow'],
  [500, 'flash_worn', 'The flash does not hold what is written.', 'The update was not taken'],
]

test('every refusal is told in plain words: what was kept, what to do', async ({ page, mock, complaints }) => {
  complaints.allow(/(4\d\d|5\d\d) .*\/update$/)
  await open(page)
  for (const [status, code, message, title] of REFUSALS) {
    await test.step(code, async () => {
      await mock('plan', { refuse: { status, code, message } })
      await send(page, bundle('0.2.0', { bytes: 20_000 }))
      const failure = page.getByTestId('update-failure')
      await expect(failure).toHaveAttribute('data-code', code)
      await expect(failure).toContainText(title)
      await expect(failure).toContainText('Nothing was changed: 0.1.0 goes on running and recording.')
      await expect(failure, 'the recorder\'s own words').toContainText(message)
    })
  }
  await shoot(page, 'update-refused')

  await test.step('too_old', async () => {
    await send(page, bundle('0.0.1', { bytes: 20_000 }))
    await expect(page.getByTestId('update-failure')).toContainText('ruled out for good')
  })
  await test.step('not_a_bundle', async () => {
    await page.getByTestId('update-file').setInputFiles({ name: 'holiday.zip', mimeType: 'application/zip', buffer: Buffer.alloc(9_000, 3) })
    await expect(page.getByTestId('update-picked')).toContainText('does not begin as an update does')
    await page.getByRole('button', { name: 'Send it anyway' }).click()
    await expect(page.getByTestId('update-failure')).toContainText('This file is not an update')
  })
})

test('an older version is installed only after its version is typed', async ({ page, mock, complaints }) => {
  complaints.allow(/409 .*\/update$/)
  await mock('plan', { hold: 'installing' })
  await open(page)
  await send(page, bundle('0.0.9'))
  const dialog = page.getByTestId('confirm-dialog')
  await expect(dialog).toContainText('0.0.9 is older than 0.1.0')
  const install = dialog.getByRole('button', { name: 'Install the older version' })
  await expect(install).toBeDisabled()
  await shoot(page, 'update-older')
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await expect(dialog).toHaveCount(0)
  await expect(page.getByTestId('update-picked'), 'the file stays chosen').toBeVisible()
  await page.getByTestId('update-start').click()
  await dialog.getByLabel(/^Type/).fill('0.0.9')
  await install.click()
  await step(page, 'installing')
  await expect(dialog).toHaveCount(0)
})

test('a file is dropped on the page', async ({ page }) => {
  await open(page)
  const file = bundle('0.2.0', { bytes: 1_000 })
  const transfer = await page.evaluateHandle(({ name, bytes }) => {
    const data = new DataTransfer()
    data.items.add(new File([new Uint8Array(bytes)], name))
    return data
  }, { name: file.name, bytes: [...file.buffer] })
  await page.dispatchEvent('[data-testid="update-runs"]', 'dragover', { dataTransfer: transfer })
  await expect(page.getByText('Let go to choose this file')).toBeVisible()
  await page.dispatchEvent('[data-testid="update-runs"]', 'drop', { dataTransfer: transfer })
  await expect(page.getByTestId('update-picked')).toContainText(file.name)
  await page.getByRole('button', { name: 'Put away' }).click()
  await expect(page.getByTestId('update-picked')).toHaveCount(0)
})

test('bundles on a stick are listed and installed', async ({ page, mock, complaints }) => {
  complaints.allow(/404 .*\/update\/usb$/)
  await open(page)
  const usb = page.getByTestId('update-usb')
  await expect(usb).toContainText('says it is 0.2.0')
  await mock('update', { usb: [] })
  await expect(usb).toContainText('Plug in a stick')
  await mock('update', { usb: [{ device: 'sdc1', file: 'candor-virt-a7-0.3.0.bundle', version: '0.3.0', bytes: 500_000 }] })
  await mock('plan', { hold: 'receiving' })
  await usb.getByRole('button', { name: 'Install candor-virt-a7-0.3.0.bundle from sdc1' }).click()
  await step(page, 'receiving')
  await expect(progress(page)).toContainText('to 0.3.0')
  await mock('plan', { hold: 'installing' })
  await step(page, 'installing')
})

test('a stick that was pulled is said', async ({ page, complaints }) => {
  complaints.allow(/404 .*\/update\/usb$/)
  await open(page)
  await page.route('**/api/v1/update/usb', (route) => route.fulfill({ status: 404, json: { error: { code: 'no_file', message: 'There is no such file.' } } }))
  await page.getByTestId('update-usb').getByRole('button', { name: /^Install/ }).click()
  await expect(page.getByTestId('update-failure')).toContainText('not on the stick any more')
})

test('an owner key is enrolled and removed with the code that the recorder shows', async ({ page, complaints }) => {
  complaints.allow(/422 .*owner-key$/)
  await open(page)
  const keys = page.getByTestId('update-keys')
  await expect(keys.locator('[data-kind="release"]')).toHaveCount(2)
  await keys.getByRole('button', { name: 'Enrol an owner key' }).click()
  const dialog = page.getByTestId('owner-key-dialog')
  await expect(dialog.getByLabel('Code on the recorder'), 'first the code is shown').toHaveCount(0)
  await dialog.getByRole('button', { name: 'Show the code' }).click()
  const enrol = dialog.getByRole('button', { name: 'Enrol the key' })
  await dialog.getByLabel('Code on the recorder').fill('AAAA-AAAA')
  await dialog.getByLabel('Public key').fill('3b6a27bc')
  await expect(dialog).toContainText('these are 8')
  await expect(enrol).toBeDisabled()
  await dialog.getByLabel('Public key').fill('3b6a27bcceb6a42d62a3a8d02a6f0d73\n653215771de243a63ac048a18b59da29')
  await enrol.click()
  await expect(dialog.getByLabel('Code on the recorder')).toHaveAttribute('aria-invalid', 'true')
  await expect(dialog.getByRole('alert')).toContainText('Four tries are left')
  await shoot(page, 'update-owner-key')
  await dialog.getByLabel('Code on the recorder').fill('7K2M-QX4D')
  await enrol.click()
  await expect(dialog).toHaveCount(0)
  await expect(keys.locator('[data-kind="owner"]')).toContainText(/[0-9a-f]{8}…[0-9a-f]{4}/)

  await keys.getByRole('button', { name: 'Remove the owner key' }).click()
  await dialog.getByRole('button', { name: 'Show the code' }).click()
  await dialog.getByLabel('Code on the recorder').fill('7K2M-QX4D')
  await dialog.getByRole('button', { name: 'Remove the key' }).click()
  await expect(dialog).toHaveCount(0)
  await expect(keys.locator('[data-kind="owner"]')).toHaveCount(0)
})

test('a recorder on a PC says that it takes no updates here', async ({ page, mock }) => {
  const installed = { version: '0.1.0', commit: 'unknown', root_sha256: null, slot: null, trying: false, created: null, signed_by: null }
  await mock('update', { supported: false, reason: 'It runs as a program of this computer. Update it as you installed it.', installed, other: null, last: null, keys: [], usb: [] })
  await open(page)
  await expect(page.getByTestId('update-unsupported')).toContainText('Update it as you installed it.')
  await expect(page.getByTestId('update-runs')).toContainText('the operating system brings the program')
  for (const gone of ['update-install', 'update-usb', 'update-keys']) await expect(page.getByTestId(gone)).toHaveCount(0)
  await shoot(page, 'update-unsupported')
})

test('what failed before the page was opened is told', async ({ page, mock }) => {
  await mock('update', { stage: { code: 'failed', message: 'The flash could not be written at 0x340000.', done_bytes: 0, total_bytes: 0, version: null } })
  await open(page)
  await expect(page.getByTestId('update-failure')).toContainText('could not be written at 0x340000')
  await expect(page.getByRole('button', { name: 'Choose a file' })).toBeVisible()
})

test.describe('a viewer', () => {
  test.use({ role: 'viewer' })

  test('sees what runs and how far an update is, and can start none', async ({ page, mock }) => {
    await open(page)
    await expect(page.getByText('Only the owner can install updates')).toBeVisible()
    for (const gone of ['update-install', 'update-usb']) await expect(page.getByTestId(gone)).toHaveCount(0)
    await mock('update', { stage: { code: 'receiving', message: '', done_bytes: 10, total_bytes: 100, version: '0.2.0' } })
    await expect(present(page)).toContainText('10 %')
    await expect(page.getByTestId('update-cancel')).toHaveCount(0)
  })
})

test('everything is reached by keys', async ({ page, mock }) => {
  await mock('plan', { hold: 'receiving' })
  await open(page)
  await page.getByTestId('update-file').setInputFiles(bundle('0.2.0'))
  const start = page.getByTestId('update-start')
  await expect(start).toBeVisible()
  await page.getByRole('navigation', { name: 'Topics' }).getByRole('link', { name: /Update/ }).focus()
  for (let i = 0; i < 12 && !(await start.evaluate((element) => element === document.activeElement)); i++) await page.keyboard.press('Tab')
  await expect(start).toBeFocused()
  await page.keyboard.press('Enter')
  await step(page, 'receiving')
})
