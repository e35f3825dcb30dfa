// First run: claiming with the set-up code; log out and in.
import { fillLogin } from '../support/app.mjs'
import { expect, test } from '../support/test.mjs'

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
