// Every page in dark, light and at 360 px: no sideways scroll, no serious finding of axe, a picture as build output.
import { expectMoving, picture, shoot, tile } from '../support/app.mjs'
import { LOOKS, findings, sideways } from '../support/looks.mjs'
import { expect, test } from '../support/test.mjs'

const live = async (page) => {
  for (const channel of [1, 2, 3]) await expect(tile(page, channel)).toHaveAttribute('data-state', 'live')
  await expect(tile(page, 4)).toHaveAttribute('data-state', /^(live|no_signal)$/)
}
const heading = (name) => (page) => expect(page.getByRole('heading', { level: 1, name })).toBeVisible()
const dialog = (page) => expect(page.getByRole('dialog')).toBeVisible()

/** Name of the picture, address, and what must be there before it is looked at. */
const PAGES = [
  ['live', '/live', live],
  ['live-one', '/live/1', async (page) => {
    await expectMoving(picture(page, 1, 'main'), 'the large picture')
  }],
  ['playback', '/playback?ch=1', async (page) => {
    await expect(page.getByTestId('playback-video')).toHaveJSProperty('readyState', 4)
    await page.keyboard.press('k')
  }],
  ['playback-export', '/playback?ch=2', async (page) => {
    await expect(page.getByTestId('playback-video')).toHaveJSProperty('readyState', 4)
    await page.getByTestId('export-button').click()
    await expect(page.getByTestId('export-size')).toContainText('MP4')
  }],
  ['events', '/events', heading('Events')],
  ['ledger', '/ledger', heading('Ledger')],
  ['settings-general', '/settings/general', (page) => expect(page.getByTestId('general-form')).toBeVisible()],
  ['settings-cameras', '/settings/cameras', (page) => expect(page.getByTestId('camera-row-4')).toBeVisible()],
  ['settings-camera-add', '/settings/cameras', async (page) => {
    await page.getByTestId('camera-add').click()
    await dialog(page)
  }],
  ['settings-access', '/settings/access', (page) => expect(page.getByTestId('stream-key-form')).toBeVisible()],
  ['settings-update', '/settings/update', (page) => expect(page.getByTestId('update-unsupported')).toBeVisible()],
  ['health', '/health', (page) => expect(page.getByTestId('health-roles').locator('tr[data-state=running]')).toHaveCount(4)],
  ['keys', '/health', async (page) => {
    await expect(page.getByTestId('health-roles')).toBeVisible()
    await page.keyboard.press('?')
    await dialog(page)
  }],
]

for (const { look, options } of LOOKS) {
  test.describe(look, () => {
    test.use(options)

    test(`every page, ${look}`, async ({ owned: page, recorded }) => {
      test.setTimeout(180_000)
      await recorded(10)
      for (const [name, address, ready] of PAGES) {
        await test.step(name, async () => {
          await page.goto(address)
          await ready(page)
          await expect(page.getByTestId('trust-line')).toContainText('watching')
          await shoot(page, `${name}-${look}`)
          expect.soft(await sideways(page), `${name}: nothing scrolls sideways`).toEqual([])
          expect.soft(await findings(page), `${name}: serious findings of axe`).toEqual([])
        })
      }
      const theme = await page.evaluate(() => document.documentElement.dataset.theme)
      expect(theme).toBe(options.colorScheme)
      await page.goto('/health')
      const places = await page.getByRole('navigation', { name: 'Places' }).boundingBox()
      if (options.viewport.width === 360) {
        expect(places, 'the places are a bar at the bottom').toMatchObject({ x: 0, width: 360 })
        expect(places.y + places.height).toBeCloseTo(740, 0)
        expect(places.height).toBeLessThan(100)
      } else {
        expect(places, 'the places are a rail at the left').toMatchObject({ x: 0, y: 0, height: 800 })
      }
    })

    test(`log-in, ${look}`, async ({ claimed, page }) => {
      await page.goto('/live')
      await expect(page.getByTestId('login-form')).toBeVisible()
      await shoot(page, `login-${look}`)
      expect(await sideways(page)).toEqual([])
      expect(await findings(page)).toEqual([])
    })
  })
}
