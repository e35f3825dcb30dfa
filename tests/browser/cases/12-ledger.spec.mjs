// The ledger tells what happened; an exported file is checked with its key, also without a recorder and a network.
import { readFile, writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { shoot } from '../support/app.mjs'
import { findings, sideways } from '../support/looks.mjs'
import { expect, test } from '../support/test.mjs'

const fingerprintOf = async (api) => (await api('GET', '/trust')).ledger.fingerprint

test('the ledger tells who signed in and who watched, signed by the key that is shown', async ({ owned: page, api, recorded }) => {
  await recorded(5)
  await page.goto('/live/1')
  await page.goto('/ledger')
  await expect(page.getByTestId('ledger-fingerprint')).toHaveText(await fingerprintOf(api))
  await expect(page.getByTestId('trust-ledger')).toContainText(/ledger [0-9a-f]{4}…[0-9a-f]{2}/)
  const entries = page.getByTestId('ledger-entries').locator('li')
  const owner = (await api('GET', '/session')).user
  await expect(entries.filter({ hasText: `${owner} signed in from 127.0.0.1` }).first()).toBeVisible()

  await page.getByTestId('ledger-topic').selectOption('access')
  await expect(entries.first()).toBeVisible()
  expect(await entries.evaluateAll((all) => all.every((one) => one.dataset.topic === 'access'))).toBe(true)
  await entries.first().locator('summary').focus()
  await page.keyboard.press('Enter')
  await expect(entries.first().locator('pre'), 'the entry as it is signed').toContainText('"kind":"login_')
  await page.getByTestId('ledger-topic').selectOption('all')
  await expect(page.getByText('The recorder started, version').first()).toBeVisible()
})

/** Chooses a file on the verify page and waits for what it says. */
async function verdict(page, file) {
  await page.locator('#file').setInputFiles(file)
  await expect(page.locator('#result')).toBeVisible()
  return page.locator('#verdict').textContent()
}

test('an exported file is genuine until a byte of it is changed, and the page that says so needs nobody', async ({ owned: page, context, api, recorded, recorder }, info) => {
  await recorded(20)
  const start = new Date(Math.ceil(recorder.startedMs / 1000) * 1000 + 5_000)
  const end = new Date(start.getTime() + 8_000)
  const answer = await context.request.get(`${recorder.base}/api/v1/export.mp4?channel=1&start=${start.toISOString()}&end=${end.toISOString()}`)
  expect(answer.status()).toBe(200)
  const bytes = await answer.body()
  const [good, bad] = [info.outputPath('good.mp4'), info.outputPath('bad.mp4')]
  await writeFile(good, bytes)
  bytes[Math.floor(bytes.length / 2)] ^= 1
  await writeFile(bad, bytes)

  await page.goto('/ledger')
  const opening = context.waitForEvent('page')
  await page.getByTestId('verify-link').click()
  const verify = await opening
  const fingerprint = await fingerprintOf(api)
  await expect(verify.locator('#key')).toHaveValue(fingerprint)
  const saving = verify.waitForEvent('download')
  await verify.locator('#save').click()
  const saved = info.outputPath('candor-verify.html')
  await (await saving).saveAs(saved)

  // From here on without the recorder.
  const asked = []
  verify.on('request', (request) => { if (!request.url().startsWith('blob:')) asked.push(request.url()) })
  await context.setOffline(true)
  expect(await verdict(verify, good)).toContain('AUTHENTIC AND COMPLETE')
  await expect(verify.locator('#compare')).toBeHidden()
  await expect(verify.locator('#tracks')).toContainText('Channel 1 main')
  await shoot(verify, 'verify-good')
  expect(await sideways(verify)).toEqual([])
  expect(await findings(verify)).toEqual([])
  expect(await verdict(verify, bad)).toContain('NOT AUTHENTIC')
  await shoot(verify, 'verify-bad')
  await verify.locator('#key').fill('')
  expect(await verdict(verify, good)).toContain('AUTHENTIC AND COMPLETE')
  await expect(verify.locator('#compare'), 'nobody gave the key').toContainText(fingerprint)
  expect(asked).toEqual([])

  // The saved page is the same from a folder.
  await context.setOffline(false)
  expect(await readFile(saved, 'utf8')).toContain("default-src 'none'")
  await verify.goto(`${pathToFileURL(saved)}#key=${fingerprint}`)
  expect(await verdict(verify, good)).toContain('AUTHENTIC AND COMPLETE')
  expect(await verdict(verify, bad)).toContain('NOT AUTHENTIC')
})
