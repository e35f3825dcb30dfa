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

test('a key opens recordings only where it says so', async ({ owned: page, recorder, recorded, runsOf }) => {
  await recorded(4)
  const [footage] = await runsOf(1)
  const moment = (ms) => new Date(ms).toISOString()
  const range = `?start=${moment(footage.endMs - 3000)}&end=${moment(footage.endMs - 1000)}`
  await page.goto('/settings/access')
  await page.getByTestId('rtsp-switch').check()

  const form = page.getByTestId('stream-key-form')
  const replay = form.getByTestId('stream-key-replay')
  const make = async (name, too) => {
    await form.getByLabel('Name of the new key').fill(name)
    await expect(replay, 'each key is for live streams unless it is said').not.toBeChecked()
    if (too) await form.getByText('Recordings too').click()
    await form.getByRole('button', { name: 'Create' }).click()
    const url = await page.getByTestId('stream-url').inputValue()
    await page.getByTestId('stream-key-dialog').getByRole('button', { name: 'I have stored it' }).click()
    return url
  }
  const guest = await make('guest', false)
  const guard = await make('guard', true)
  await expect(page.getByTestId('stream-key-guest')).toContainText(/live(?! and)/)
  await expect(page.getByTestId('stream-key-guard')).toContainText('live and recordings')
  expect((await probe(guest)).code).toBe(0)
  const refused = await probe(guest + range)
  expect(refused.code).not.toBe(0)
  expect(refused.err).toContain('403')
  const played = await probe(guard + range)
  expect(played.err).toBe('')
  expect(played.packets.length).toBeGreaterThanOrEqual(8)

  for (const name of ['guest', 'guard']) {
    await page.getByTestId(`stream-key-${name}`).getByRole('button', { name: 'Remove' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove the key' }).click()
    await expect(page.getByTestId(`stream-key-${name}`)).toHaveCount(0)
  }
  await page.getByTestId('rtsp-switch').uncheck()
})

test('only addresses on the list may connect', async ({ owned: page, recorder, complaints }) => {
  complaints.allow(/422 .*\/settings$/)
  await page.goto('/settings/access')
  await page.getByTestId('rtsp-switch').check()
  await expect(page.getByText('On: each needs a stream key.')).toBeVisible()
  const url = `rtsp://127.0.0.1:${recorder.rtspPort}/ch1/main`
  const allow = async (networks) => {
    await page.getByLabel('Only from these addresses').fill(networks)
    await page.getByTestId('rtsp-allow-form').getByRole('button', { name: 'Save' }).click()
  }
  const saved = page.getByTestId('rtsp-allow-form').getByRole('button', { name: 'Saved' })
  await expect.poll(async () => (await probe(url)).err, 'asked for a key').toContain('401')

  await allow('192.0.2.0/24\n2001:db8::/32')
  await expect(saved).toBeVisible()
  await expect.poll(async () => (await probe(url)).err, 'not even asked').not.toContain('401')

  await allow('127.0.0.0/8 everybody')
  await expect(page.getByRole('alert')).toContainText('everybody')
  expect((await probe(url)).err, 'as before').not.toContain('401')

  await allow('127.0.0.0/8, 2001:db8::/32')
  await expect(saved).toBeVisible()
  await expect.poll(async () => (await probe(url)).err, 'asked again').toContain('401')
  await page.reload()
  await expect(page.getByLabel('Only from these addresses')).toHaveValue('127.0.0.0/8\n2001:db8::/32')

  await allow('')
  await expect(saved).toBeVisible()
  await page.getByTestId('rtsp-switch').uncheck()
  await expect(page.getByText('Off: its port is closed.')).toBeVisible()
})

test('multicast is off until the owner turns it on, and says who can watch then', async ({ owned: page, api, complaints }) => {
  complaints.allow(/422 .*\/settings$/)
  await page.goto('/settings/access')
  const toggle = page.getByTestId('multicast-switch')
  const form = page.getByTestId('multicast-form')
  const group = form.getByLabel('First address')
  const known = async () => (await api('GET', '/settings')).rtsp_multicast
  await expect(toggle).not.toBeChecked()
  await expect(toggle, 'goes with RTSP alone').toBeDisabled()
  await page.getByTestId('rtsp-switch').check()
  await expect(toggle).toBeEnabled()
  await expect(page.getByText('anybody in the network can watch it, without a key')).toBeVisible()
  await expect(form).toHaveCount(0)

  await toggle.check()
  await expect(group).toHaveValue('239.192.0.0')
  await expect(form.getByLabel('Reach')).toHaveValue('1')
  expect(await known()).toEqual({ enabled: true, group: '239.192.0.0', ttl: 1 })

  const save = async (address) => {
    await group.fill(address)
    await form.getByRole('button', { name: 'Save' }).click()
  }
  for (const [address, words] of [['192.168.1.0', 'begins with 239.'], ['239.192.7.1', 'ends in .0'], ['everybody', 'Give an address such as']]) {
    await save(address)
    await expect(page.getByRole('alert')).toContainText(words)
    expect((await known()).group, 'as before').toBe('239.192.0.0')
  }
  await form.getByLabel('Reach').fill('3')
  await save('239.192.7.0')
  await expect(form.getByRole('button', { name: 'Saved' })).toBeVisible()
  await expect(page.getByRole('alert')).toHaveCount(0)

  await page.reload()
  await expect(toggle).toBeChecked()
  await expect(group).toHaveValue('239.192.7.0')
  await expect(form.getByLabel('Reach')).toHaveValue('3')

  await toggle.uncheck()
  await expect(form).toHaveCount(0)
  expect(await known()).toEqual({ enabled: false, group: '239.192.7.0', ttl: 3 })
  await page.getByTestId('rtsp-switch').uncheck()
  await expect(page.getByText('Off: its port is closed.')).toBeVisible()
  await expect(toggle).toBeDisabled()
})
