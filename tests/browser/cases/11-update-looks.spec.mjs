// Every state of Update, and disks that take no footage, in dark, light and at 360 px. Against the mock.
import { shoot } from '../support/app.mjs'
import { LOOKS, findings, sideways } from '../support/looks.mjs'
import { bundle, expect, test } from '../support/mock.mjs'

const stage = (code, more = {}) => ({ stage: { code, message: '', done_bytes: 0, total_bytes: 0, version: '0.2.0', ...more } })
const idle = { stage: { code: 'idle', message: '', done_bytes: 0, total_bytes: 0, version: null } }
const present = (page) => page.getByTestId('update-progress').locator('[aria-current="step"]')
const footage = { write_bytes_per_sec: 0, oldest: null, newest: null }
const DISKS = [
  { path: '/data', device: 'sda', state: 'ok', message: '', total_bytes: 4e12, used_bytes: 1.34e12, write_bytes_per_sec: 1.3e6, oldest: '2026-11-01T08:00:00Z', newest: '2026-11-20T08:00:00Z' },
  { path: '', device: 'sdb', state: 'unformatted', message: '', total_bytes: 2e12, used_bytes: 0, ...footage },
  { path: '/media/sdd', device: 'sdd', state: 'locked', encryption: 'locked', message: 'The footage on this disk is encrypted, and this recorder does not have its key.', total_bytes: 3e12, used_bytes: 0, ...footage },
  { path: '', device: 'sdc', state: 'missing', message: '', total_bytes: 0, used_bytes: 0, ...footage },
]

const STATES = [
  ['idle', async (page) => { await expect(page.getByTestId('update-install')).toBeVisible() }],
  ['picked', async (page) => {
    await page.getByTestId('update-file').setInputFiles(bundle('0.2.0'))
    await expect(page.getByTestId('update-picked')).toBeVisible()
  }],
  ['receiving', async (page, mock) => {
    await mock('update', stage('receiving', { done_bytes: 3_114_000, total_bytes: 7_412_345 }))
    await expect(present(page)).toContainText('42 %')
  }],
  ['verifying', async (page, mock) => {
    await mock('update', stage('verifying', { message: 'The signature and every byte are checked.' }))
    await expect(present(page)).toContainText('Checking the signature')
  }],
  ['installing', async (page, mock) => {
    await mock('update', stage('installing', { done_bytes: 5_900_000, total_bytes: 7_400_000 }))
    await expect(present(page)).toContainText('79 %')
  }],
  ['checking', async (page, mock) => {
    await mock('update', stage('checking', { message: 'Waiting for a picture of every channel.' }))
    await expect(present(page)).toContainText('Waiting for a picture')
  }],
  ['failed', async (page, mock) => {
    await mock('update', stage('failed', { message: 'The flash could not be written.', version: null }))
    await expect(page.getByTestId('update-failure')).toBeVisible()
    await mock('update', idle)
  }],
  ['refused', async (page, mock, complaints) => {
    complaints.allow(/422 .*\/update$/)
    await mock('plan', { refuse: { status: 422, code: 'bad_signature', message: 'Signed by 77c1…09, which is not trusted.' } })
    await page.getByTestId('update-file').setInputFiles(bundle('0.2.0', { bytes: 9_000 }))
    await page.getByTestId('update-start').click()
    await expect(page.getByTestId('update-failure')).toContainText('77c1…09')
  }],
  ['older', async (page, mock, complaints) => {
    complaints.allow(/409 .*\/update$/)
    await page.getByTestId('update-file').setInputFiles(bundle('0.0.9', { bytes: 9_000 }))
    await page.getByTestId('update-start').click()
    await expect(page.getByTestId('confirm-dialog')).toBeVisible()
  }],
  ['owner-key', async (page) => {
    await page.getByRole('button', { name: 'Enrol an owner key' }).click()
    await page.getByRole('button', { name: 'Show the code' }).click()
    await expect(page.getByLabel('Public key')).toBeVisible()
  }],
]

for (const { look, options } of LOOKS) {
  test.describe(look, () => {
    test.use(options)

    test(`update and disks, ${look}`, async ({ page, mock, complaints }) => {
      const seen = async (name) => {
        await shoot(page, `${name}-${look}`)
        expect.soft(await sideways(page), `${name}: nothing scrolls sideways`).toEqual([])
        expect.soft(await findings(page), `${name}: serious findings of axe`).toEqual([])
      }
      for (const [name, act] of STATES) {
        await test.step(name, async () => {
          await page.goto('/settings/update')
          await expect(page.getByTestId('update-runs')).toBeVisible()
          await act(page, mock, complaints)
          await seen(`update-${name}`)
          await mock('update', idle)
        })
      }
      await test.step('disks', async () => {
        await mock('disks', DISKS)
        await page.goto('/health')
        await expect(page.locator('[data-device="sdb"]')).toContainText('not formatted')
        await page.locator('#disks').scrollIntoViewIfNeeded()
        await seen('disks')
        await page.getByRole('button', { name: 'Format… sda' }).click()
        await expect(page.getByTestId('confirm-dialog')).toContainText('All footage on this disk is lost')
        await seen('disk-format')
        await page.getByTestId('confirm-dialog').getByRole('button', { name: 'Cancel' }).click()
        await page.getByRole('button', { name: 'Unlock… sdd' }).click()
        await expect(page.getByTestId('unlock-dialog')).toBeVisible()
        await seen('disk-unlock')
      })
    })
  })
}

test('a disk says for how long its footage stays, by the days that channels are to be kept', async ({ page, mock }) => {
  const retention = (keep_days, expected_hours, used_bytes = 1e11) => ({ keep_days, expected_hours, used_bytes })
  await mock('disks', [
    { ...DISKS[0], retention: [retention(null, 1030), retention(7, 168), retention(30, 100), retention(3, 100, 0)] },
    { ...DISKS[0], path: '/data2', device: 'sdb', retention: [retention(null, null), retention(14, 20)] },
  ])
  await page.goto('/health')
  const stays = (device) => page.locator(`[data-device="${device}"]`).getByTestId('disk-stays')
  // What has no footage is not shown.
  await expect(stays('sda')).toHaveText(['about 42 days 100 GB', '7 days 100 GB', 'about 4 days, not 30 days: the disk is too small 100 GB'])
  await expect(stays('sdb')).toHaveText(['not known yet 100 GB', 'about 20 hours, not 14 days: the disk is too small 100 GB'])
  // And follows what the recorder tells next.
  await mock('disks', [{ ...DISKS[0], retention: [retention(null, 30)] }])
  await expect(stays('sda')).toHaveText(['about 30 hours'])
})

test('a disk is formatted after ERASE is typed; what is lost is named', async ({ page, mock }) => {
  await mock('disks', DISKS)
  await page.goto('/health')
  await expect(page.getByTestId('image-line')).toContainText(/Candor 0\.1\.0 · commit [0-9a-f]{9} · image [0-9a-f]{8}…[0-9a-f]{4} · slot A/)
  const missing = page.locator('[data-device="sdc"]')
  await expect(missing).toContainText('It was here and is not any more.')
  await expect(missing.getByRole('button')).toHaveCount(0)

  const dialog = page.getByTestId('confirm-dialog')
  await page.getByRole('button', { name: 'Format… sda' }).click()
  await expect(dialog, 'footage, from when to when, how much').toContainText(/19 d of every channel, from .* to .*, 1\.3 TB/)
  await dialog.getByRole('button', { name: 'Cancel' }).click()

  const blank = page.locator('[data-device="sdb"]')
  await blank.getByRole('button', { name: 'Format… sdb' }).click()
  await expect(dialog).toContainText('Everything on this disk of 2.0 TB is lost for good')
  const erase = dialog.getByRole('button', { name: 'Erase and format' })
  await dialog.getByLabel(/^Type/).fill('erase')
  await expect(erase).toBeDisabled()
  await dialog.getByLabel(/^Type/).fill('ERASE')
  // As the settings say, unless somebody says otherwise for this disk.
  await expect(dialog.getByTestId('disk-encrypt')).toBeChecked()
  await dialog.getByTestId('disk-encrypt').uncheck()
  const ordered = page.waitForRequest(/\/disks\/sdb\/format$/)
  await erase.click()
  expect((await ordered).postDataJSON()).toEqual({ confirm: 'ERASE', encrypt: false })
  await expect(dialog).toHaveCount(0)
  await expect(blank).toContainText('Formatting has begun')
  await expect(blank).toHaveAttribute('data-state', 'ok')
  await expect(blank).not.toContainText('Formatting has begun')
})

test('a locked disk opens with its recovery key; its footage is erased after ERASE is typed', async ({ page, mock, complaints }) => {
  complaints.allow(/422 .*\/storage\/unlock$/)
  await mock('disks', DISKS)
  await page.goto('/health')
  const disk = page.locator('[data-device="sdd"]')
  await expect(disk).toContainText('this recorder does not have its key')
  const dialog = page.getByTestId('unlock-dialog')
  await disk.getByRole('button', { name: 'Unlock…' }).click()
  const key = dialog.getByLabel('Recovery key')
  const unlock = dialog.getByRole('button', { name: 'Unlock' })
  await key.fill('4KQ7W-9M2XD')
  await expect(dialog).toContainText('30 of 40 letters and digits are missing')
  await expect(unlock).toBeDisabled()
  await key.fill('0'.repeat(40))
  await unlock.click()
  await expect(dialog.getByRole('alert')).toContainText('not this disk')
  await key.fill('4kq7w 9m2xd 0tz3h vb8rc n6yj5 ega1p 7sf4m 2xq0t')
  await unlock.click()
  await expect(dialog).toHaveCount(0)
  await expect(disk).toHaveAttribute('data-state', 'ok')
  await expect(disk.getByTestId('disk-encryption')).toHaveText('yes, opens with the recovery key')

  await disk.getByRole('button', { name: 'Erase footage…' }).click()
  const confirm = page.getByTestId('confirm-dialog')
  await expect(confirm).toContainText('not with any recovery key')
  const erase = confirm.getByRole('button', { name: 'Destroy the key' })
  await expect(erase).toBeDisabled()
  await confirm.getByLabel(/^Type/).fill('ERASE')
  await erase.click()
  await expect(confirm).toHaveCount(0)
  await expect(disk).toContainText('none yet')
})

test.describe('a viewer', () => {
  test.use({ role: 'viewer' })

  test('formats nothing', async ({ page, mock }) => {
    await mock('disks', DISKS)
    await page.goto('/health')
    await expect(page.locator('[data-device="sdb"]')).toContainText('not formatted')
    await expect(page.getByRole('button', { name: /^(Format|Unlock|Erase)/ })).toHaveCount(0)
  })
})
