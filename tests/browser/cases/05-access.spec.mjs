// RTSP for other programs: off until it is turned on, and only with a key that is shown once.
import { run } from '../support/process.mjs'
import { expect, test } from '../support/test.mjs'

/** Opens the stream and reads half a second of packets, as a player does. */
async function probe(url) {
  const args = ['-v', 'error', '-rtsp_transport', 'tcp', '-timeout', '20000000', '-i', url]
  const { code, out, err } = await run('ffprobe', [...args, '-read_intervals', '%+#8', '-show_packets', '-show_streams', '-of', 'json'])
  return { code, err, ...(code === 0 ? JSON.parse(out.toString()) : {}) }
}

test('a stream key opens RTSP until it is removed', async ({ owned: page, recorder }) => {
  const address = (login) => `rtsp://${login}127.0.0.1:${recorder.rtspPort}/ch1/main`
  await page.goto('/settings/access')
  const toggle = page.getByTestId('rtsp-switch')
  await expect(toggle).not.toBeChecked()
  expect((await probe(address(''))).code, 'the port is closed').not.toBe(0)
  await toggle.check()
  await expect(page.getByText('On: each needs a stream key.')).toBeVisible()

  const form = page.getByTestId('stream-key-form')
  await form.getByLabel('Name of the new key').fill('reception')
  await form.getByRole('button', { name: 'Create' }).click()
  const dialog = page.getByTestId('stream-key-dialog')
  await expect(dialog).toContainText('only time')
  const key = await page.getByTestId('stream-key').inputValue()
  expect(key.length).toBeGreaterThanOrEqual(20)
  expect(await page.getByTestId('stream-url').inputValue()).toBe(address(`reception:${key}@`))
  await dialog.getByRole('button', { name: 'I have stored it' }).click()
  await expect(dialog).toHaveCount(0)
  await page.reload()
  const entry = page.getByTestId('stream-key-reception')
  await expect(entry).toBeVisible()
  expect(await page.content(), 'the key is shown once').not.toContain(key)

  const played = await probe(address(`reception:${key}@`))
  expect(played.err).toBe('')
  expect(played.code).toBe(0)
  expect(played.streams.find((stream) => stream.codec_type === 'video')).toMatchObject({ codec_name: 'h264', width: 640, height: 360 })
  expect(played.packets.length).toBeGreaterThanOrEqual(8)

  const wrong = await probe(address('reception:wrong@'))
  expect(wrong.code).not.toBe(0)
  expect(wrong.err).toContain('401')

  await entry.getByRole('button', { name: 'Remove' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove the key' }).click()
  await expect(entry).toHaveCount(0)
  const refused = await probe(address(`reception:${key}@`))
  expect(refused.code).not.toBe(0)
  expect(refused.err).toContain('401')

  await toggle.uncheck()
  await expect(page.getByText('Off: its port is closed.')).toBeVisible()
  expect((await probe(address(''))).err, 'the port is closed').toContain('refused')
})
