// Deleting a stretch: what goes is said before, it is typed, and afterwards it is gone from timeline, player and disk.
import { markOf, markThat, shoot } from '../support/app.mjs'
import { findings, sideways } from '../support/looks.mjs'
import { expect, test } from '../support/test.mjs'

test('an owner deletes a stretch of one channel with the keyboard, and it is gone', async ({ owned: page, api, recorded, recorder }) => {
  await recorded(30)
  const startMs = Math.ceil(recorder.startedMs / 1000) * 1000 + 8_000
  const endMs = startMs + 10_000
  const timeline = (channel) => api('GET', `/timeline?start=${new Date(startMs - 2_000).toISOString()}&end=${new Date(endMs + 2_000).toISOString()}&channel=${channel}`)
  expect((await timeline(2)).channels[0].runs.length).toBe(1)

  await page.goto(`/playback?ch=2&t=${new Date(startMs).toISOString()}`)
  await markOf(page.getByTestId('playback-video'))
  await page.keyboard.press('k')
  await page.keyboard.press('[')
  await page.keyboard.press('Shift+ArrowRight')
  await markThat(page.getByTestId('playback-video'), 'the moment 10 s later', (mark) => mark.wallMs > startMs + 5_000)
  await page.keyboard.press(']')
  await expect(page.getByTestId('export-button'), 'what is marked').toContainText(/Export \d+ s/)
  await page.getByTestId('delete-button').focus()
  await page.keyboard.press('Enter')
  const dialog = page.getByTestId('delete-dialog')
  await expect(dialog.getByTestId('delete-scope')).toContainText('nobody can bring them back')
  expect.soft(await sideways(page)).toEqual([])
  expect.soft(await findings(page)).toEqual([])
  await shoot(page, 'delete')
  const go = dialog.getByTestId('delete-go')
  await expect(go).toBeDisabled()
  await dialog.getByLabel(/^Type/).focus()
  await page.keyboard.type('DELETE')
  await expect(go).toBeEnabled()
  await page.keyboard.press('Enter')
  await expect(dialog.getByTestId('delete-state')).toHaveAttribute('data-state', 'done')
  await dialog.getByRole('button', { name: 'Close' }).last().click()

  const left = (await timeline(2)).channels[0].runs
  const gone = left.every((run) => Date.parse(run.end) <= startMs + 2_000 || Date.parse(run.start) >= startMs + 7_000)
  expect(gone, JSON.stringify(left)).toBe(true)
  expect((await timeline(1)).channels[0].runs.length, 'the other channel is whole').toBe(1)
  await page.goto(`/playback?ch=2&t=${new Date(startMs + 4_000).toISOString()}`)
  // Players go on with what is behind a gap. What they load may begin before it, and is painted until they do.
  await markThat(page.getByTestId('playback-video'), 'the footage behind it', (mark) => mark.wallMs >= startMs + 7_000)

  await page.goto('/ledger')
  const owner = (await api('GET', '/session')).user
  await expect(page.getByTestId('ledger-entries').locator('li').filter({ hasText: `${owner} deleted footage of channel 2` }).first()).toBeVisible()
})
