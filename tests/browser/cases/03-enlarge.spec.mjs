// One channel large: main stream, sound, keys.
import { expectMoving, markOf, picture, tile } from '../support/app.mjs'
import { expect, test } from '../support/test.mjs'

test('a click enlarges with the main stream, Esc goes back, keys choose', async ({ owned: page }) => {
  await page.goto('/live')
  await expect(tile(page, 1)).toHaveAttribute('data-state', 'live')
  await tile(page, 1).getByRole('link').click()
  await expect(page).toHaveURL('/live/1')
  const large = picture(page, 1, 'main')
  await expect(large).toHaveJSProperty('videoWidth', 640)
  await expectMoving(large, 'the main stream')
  expect((await markOf(large)).channel).toBe(1)
  await expect(tile(page, 2), 'the others are out of sight').toBeHidden()

  await page.keyboard.press('Escape')
  await expect(page).toHaveURL('/live')
  await expect(tile(page, 1).getByRole('link'), 'the focus is where it was').toBeFocused()
  for (const channel of [1, 2, 3]) await expect(tile(page, channel)).toHaveAttribute('data-state', 'live')

  await page.keyboard.press('2')
  await expect(page).toHaveURL('/live/2')
  await expectMoving(picture(page, 2, 'main'), 'channel 2, by its key')
  expect((await markOf(picture(page, 2, 'main'))).channel).toBe(2)
  await page.keyboard.press('1')
  await expect(page).toHaveURL('/live/1')
  await page.keyboard.press('9')
  await expect(page, 'there is no channel 9').toHaveURL('/live/1')
  await page.keyboard.press('g')
  await expect(page).toHaveURL('/live')
  await expectMoving(picture(page, 2), 'the grid again')

  await page.keyboard.press('?')
  await expect(page.getByTestId('keys-dialog')).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByTestId('keys-dialog')).toHaveCount(0)
})

test('sound comes with its button', async ({ owned: page }) => {
  await page.goto('/live/3')
  const video = picture(page, 3, 'main')
  await expectMoving(video, 'the camera')
  await expect(video).toHaveJSProperty('muted', true)
  await page.getByTestId('sound-button').click()
  await expect(video).toHaveJSProperty('muted', false)
  const heard = () => video.evaluate((element) => element.webkitAudioDecodedByteCount)
  await expect.poll(heard, 'decoded sound, in bytes').toBeGreaterThan(0)
  const before = await heard()
  await expect.poll(heard, 'sound goes on').toBeGreaterThan(before)
  await expectMoving(video, 'the picture with sound')
  await page.keyboard.press('m')
  await expect(video).toHaveJSProperty('muted', true)
})

test('what goes on is marked, where events are kept for longer', async ({ owned: page }) => {
  const mark = page.getByTestId('mark-button')
  const keep = async (choice, days) => {
    await page.goto('/settings/cameras')
    const row = page.getByTestId('camera-row-2')
    await row.getByRole('button', { name: /^Keep / }).click()
    const form = page.getByTestId('keep-form')
    await form.getByLabel(choice).check()
    if (days) await form.getByLabel('Days of events').fill(days)
    await form.getByRole('button', { name: 'Save' }).click()
    await expect(form).toHaveCount(0)
    return row
  }
  await page.goto('/live/2')
  await expectMoving(picture(page, 2, 'main'), 'channel 2')
  await expect(mark, 'it would be kept no longer than the rest').toHaveCount(0)
  await expect(await keep('for a number of days of its own', '30')).toContainText('events 30 days')
  await page.goto('/live/2')
  await expect(mark).toHaveAttribute('aria-pressed', 'false')
  await mark.click()
  await expect(mark).toHaveAttribute('aria-pressed', 'true')
  await expectMoving(picture(page, 2, 'main'), 'channel 2 goes on')
  // As it was, for the tests that follow.
  await expect(await keep('as the rest')).not.toContainText('events')
})
