// Network cameras: added, live, wrong settings said without harm to others, removed by typing the title.
import { expectMoving, picture, tile } from '../support/app.mjs'
import { expect, test } from '../support/test.mjs'

test('a camera is added, goes live, is broken and mended, and removed', async ({ owned: page, recorder }) => {
  const { url, user, password } = recorder.lockedCamera
  const row = page.getByTestId('camera-row-5')
  const form = page.getByTestId('camera-form')
  const edit = async (fields) => {
    await row.getByRole('button', { name: 'Edit' }).click()
    for (const [label, text] of Object.entries(fields)) await form.getByLabel(label).fill(text)
    await form.getByRole('button', { name: 'Save' }).click()
    await expect(form).toHaveCount(0)
  }

  await page.goto('/settings/cameras')
  await expect(page.getByTestId('camera-row-3')).toHaveAttribute('data-state', 'ok')
  await page.getByTestId('camera-add').click()
  await form.getByLabel('Title').fill('Gate')
  await form.getByLabel('Address').fill(url)
  await form.getByLabel('User').fill(user)
  await form.getByLabel('Password').fill(password)
  await form.getByRole('button', { name: 'Add' }).click()
  await expect(form).toHaveCount(0)
  await expect(row).toHaveAttribute('data-state', 'ok')
  await expect(row).toContainText('Gate')
  await expect(row, 'the password is kept and not shown').toContainText('password kept')
  await expect(page.locator('body')).not.toContainText(password)
  await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Live' }).click()
  await expect(tile(page, 5)).toHaveAttribute('data-state', 'live')
  await expectMoving(picture(page, 5, 'main'), 'the new camera')

  await test.step('a wrong password is said', async () => {
    await page.goto('/settings/cameras')
    await edit({ Password: 'not this one' })
    await expect(row).toHaveAttribute('data-state', 'wrong_password')
    await expect(row).toContainText(/password/i)
    await page.goto('/live')
    await expect(tile(page, 5)).toHaveAttribute('data-state', 'wrong_password')
    await expect(tile(page, 5)).toContainText('Wrong password')
    for (const channel of [1, 2]) await expectMoving(picture(page, channel), `channel ${channel} goes on`)
    await expectMoving(picture(page, 3, 'main'), 'the other camera goes on')
  })

  await test.step('a port where nobody listens is said', async () => {
    await page.goto('/settings/cameras')
    await edit({ Address: recorder.closedUrl })
    await expect(row).toHaveAttribute('data-state', 'unreachable')
    await page.goto('/live')
    await expect(tile(page, 5)).toContainText('Camera unreachable')
    await expectMoving(picture(page, 1), 'channel 1 goes on')
  })

  await test.step('mended, it goes live again', async () => {
    await page.goto('/settings/cameras')
    await edit({ Address: url, Password: password })
    await expect(row).toHaveAttribute('data-state', 'ok')
  })

  await test.step('it is removed by typing its title', async () => {
    await row.getByRole('button', { name: 'Remove' }).click()
    const confirm = page.getByTestId('confirm-dialog')
    const remove = confirm.getByRole('button', { name: 'Remove the camera' })
    await expect(remove).toBeDisabled()
    await confirm.getByLabel(/^Type/).fill('Gat')
    await expect(remove).toBeDisabled()
    await confirm.getByLabel(/^Type/).fill('Gate')
    await remove.click()
    await expect(row).toHaveCount(0)
    await page.goto('/live')
    await expect(tile(page, 3)).toHaveAttribute('data-state', 'live')
    await expect(tile(page, 5)).toHaveCount(0)
  })
})

test('an address that is none is refused at its field', async ({ owned: page, complaints }) => {
  complaints.allow(/4(00|22) .*\/api\/v1\/cameras$/)
  await page.goto('/settings/cameras')
  await page.getByTestId('camera-add').click()
  const form = page.getByTestId('camera-form')
  await form.getByLabel('Title').fill('Gate')
  await form.getByLabel('Address').fill('http://192.0.2.7/stream')
  await form.getByRole('button', { name: 'Add' }).click()
  await expect(form.getByLabel('Address')).toHaveAttribute('aria-invalid', 'true')
  await expect(form.locator('.wrong')).toContainText(/rtsp/i)
  await form.getByRole('button', { name: 'Cancel' }).click()
  await expect(form).toHaveCount(0)
})
