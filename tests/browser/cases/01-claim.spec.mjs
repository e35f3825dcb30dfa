// First run: claiming with the set-up code; log out and in.
import { fillLogin } from '../support/app.mjs'
import { expect, test } from '../support/test.mjs'

/** Types the group of the recovery key that is asked for, and gives all of them. */
async function store(page) {
  const items = page.getByTestId('recovery-key').getByRole('listitem')
  await expect(items.first()).toBeVisible()
  const groups = await items.allTextContents()
  const confirm = page.getByTestId('recovery-confirm')
  const stored = confirm.getByRole('button', { name: 'I have stored it' })
  await expect(stored, 'not before a part of it was typed').toBeDisabled()
  const label = await confirm.getByText(/^Type group \d/).textContent()
  await confirm.getByLabel(/^Type group/).fill(groups[Number(label.match(/\d/)[0]) - 1])
  await stored.click()
  await expect(page.getByTestId('recovery-key')).toHaveCount(0)
  return groups
}

test('the recorder is claimed with its set-up code alone, then opened by log-in', async ({ page, recorder, complaints }) => {
  const { owner } = recorder
  // The refused code and the refused password are errors to the browser's console.
  complaints.allow(/40[013] .*\/api\/v1\/(claim|session)$/)

  await page.goto('/live')
  const form = page.getByTestId('claim-form')
  const claim = form.getByRole('button', { name: /Claim/ })
  await form.getByLabel('Set-up code').fill('AAAA-AAAA')
  await form.getByLabel('Your user name').fill(owner.user)
  await form.getByLabel('Password', { exact: true }).fill('short')
  await expect(claim, 'a short password cannot be sent').toBeDisabled()
  await form.getByLabel('Password', { exact: true }).fill(owner.password)
  await claim.click()
  await expect(form.getByLabel('Set-up code'), 'the wrong code is named at its field').toHaveAttribute('aria-invalid', 'true')
  await expect(form).toContainText('not the code that the recorder shows')

  await form.getByLabel('Set-up code').fill(recorder.setupCode)
  await claim.click()
  expect(await store(page), 'the recovery key is shown, once').toHaveLength(8)
  await expect(page.getByTestId('live-grid')).toBeVisible()

  await page.getByTestId('log-out').click()
  await expect(page.getByTestId('login-form')).toBeVisible()
  await fillLogin(page, { user: owner.user, password: 'not this one' })
  await expect(page.getByRole('alert')).toContainText(/wrong/i)
  await expect(page.getByTestId('live-grid')).toHaveCount(0)
  await fillLogin(page, owner)
  await expect(page.getByTestId('live-grid')).toBeVisible()

  await page.reload()
  await expect(page.getByTestId('live-grid'), 'a reload needs no second log-in').toBeVisible()
})

test('nobody sees anything without a session', async ({ claimed, page }) => {
  await page.goto('/settings/cameras')
  await expect(page.getByTestId('login-form')).toBeVisible()
  await fillLogin(page, claimed)
  await expect(page.getByTestId('camera-row-1'), 'after the log-in the asked page opens').toBeVisible()
})

test('a recovery key is made anew by whoever knows the password, and opens the disk', async ({ owned: page, claimed, complaints }) => {
  complaints.allow(/422 .*\/storage\/recovery-key$/)
  await page.goto('/settings/general')
  await expect(page.getByTestId('encrypt-switch'), 'on by default').toBeChecked()
  const mirror = page.getByTestId('mirror-switch')
  await expect(mirror, 'off by default').not.toBeChecked()
  await mirror.check()
  await page.reload()
  await expect(mirror, 'kept by the recorder').toBeChecked()
  await mirror.uncheck()
  await expect(mirror).toBeEnabled()
  await expect(page.getByTestId('encrypt-switch'), 'as it was').toBeChecked()
  await page.getByTestId('recovery-new').click()
  const dialog = page.getByTestId('recovery-dialog')
  const make = dialog.getByRole('button', { name: 'Make a new key' })
  await dialog.getByLabel('Your password').fill('not this one')
  await make.click()
  await expect(dialog.getByRole('alert')).toContainText('not your password')
  await dialog.getByLabel('Your password').fill(claimed.password)
  await make.click()
  expect(await store(page)).toHaveLength(8)
  await expect(dialog).toHaveCount(0)
  await page.goto('/health')
  await expect(page.getByTestId('disk-encryption').first()).toHaveText('yes, opens with the recovery key')
})
