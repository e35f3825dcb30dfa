// Export: the asked range with its progress, and a file that players take, exact to the frame.
import { markOf } from '../support/app.mjs'
import { MARK, readMark } from '../support/mark.mjs'
import { must } from '../support/process.mjs'
import { expect, test } from '../support/test.mjs'

const FRAME_MS = 1000 / 15
const RANGE_SEC = 20

/** The marks of all frames that a player shows. */
async function marksOf(file) {
  const crop = `crop=${MARK.width}:${MARK.height}:0:0,format=gray`
  const grey = await must('ffmpeg', ['-v', 'error', '-i', file, '-an', '-vf', crop, '-fps_mode', 'passthrough', '-f', 'rawvideo', '-'])
  const size = MARK.width * MARK.height
  return Array.from({ length: grey.length / size }, (_, n) => readMark(grey.subarray(n * size, (n + 1) * size), MARK.width, MARK.width))
}

test('an exported range shows its progress and holds exactly what was asked for', async ({ owned: page, context, recorded, recorder }) => {
  test.setTimeout(180_000)
  const startMs = Math.ceil(recorder.startedMs / 1000) * 1000 + 5_000
  const endMs = startMs + RANGE_SEC * 1000
  await recorded(RANGE_SEC + 10)

  await page.goto(`/playback?ch=1&t=${new Date(startMs).toISOString()}`)
  await markOf(page.getByTestId('playback-video'))
  await page.getByTestId('export-button').click()
  const clock = (ms) => new Date(ms).toISOString().slice(11, 19)
  await page.getByTestId('export-from').fill(clock(startMs))
  await page.getByTestId('export-to').fill(clock(endMs))
  await expect(page.getByTestId('export-size')).toContainText(`${RANGE_SEC} s · MP4`)

  // A slow line makes the progress last long enough to be seen.
  const line = await context.newCDPSession(page)
  const throttle = (bytesPerSec) => line.send('Network.emulateNetworkConditions', {
    offline: false, latency: 0, downloadThroughput: bytesPerSec, uploadThroughput: -1,
  })
  await line.send('Network.enable')
  await throttle(200_000)
  const downloading = page.waitForEvent('download')
  await page.getByTestId('export-start').click()
  const progress = page.getByTestId('export-progress')
  await expect(progress).toHaveAttribute('data-state', 'running')
  await expect(progress).toContainText(/ [1-9]\d? %/)
  await throttle(-1)
  const download = await downloading
  await expect(progress).toHaveAttribute('data-state', 'done')
  expect(download.suggestedFilename()).toBe(`candor-ch1-${new Date(startMs).toISOString().slice(0, 19).replaceAll(':', '-')}Z.mp4`)

  const file = await download.path()
  const probed = JSON.parse((await must('ffprobe', ['-v', 'error', '-show_format', '-show_streams', '-of', 'json', file])).toString())
  const stream = probed.streams.find((one) => one.codec_type === 'video')
  expect(stream).toMatchObject({ codec_name: 'h264', width: 640, height: 360 })
  expect(Math.abs(Number(stream.duration) - RANGE_SEC), 'from the asked duration, in s').toBeLessThan(0.1)
  expect(Math.abs(Number(probed.format.duration) - RANGE_SEC), 'of the whole file').toBeLessThan(0.1)

  const marks = await marksOf(file)
  expect(marks.length).toBeGreaterThanOrEqual(RANGE_SEC * 15 - 1)
  expect(marks.length).toBeLessThanOrEqual(RANGE_SEC * 15 + 1)
  expect(marks, 'every frame has its mark').not.toContain(null)
  expect(marks.every((mark, n) => mark.counter === marks[0].counter + n), 'no frame is missing').toBe(true)
  expect(Math.abs(marks[0].wallMs - startMs), 'the first frame, from the asked start in ms').toBeLessThan(FRAME_MS + 20)
  expect(Math.abs(marks.at(-1).wallMs + FRAME_MS - endMs), 'the last frame, from the asked end in ms').toBeLessThan(FRAME_MS + 20)
})

test('an export can be cancelled', async ({ owned: page, context, recorded, recorder }) => {
  await recorded(RANGE_SEC)
  const startMs = Math.ceil(recorder.startedMs / 1000) * 1000 + 5_000
  await page.goto(`/playback?ch=1&t=${new Date(startMs).toISOString()}`)
  await markOf(page.getByTestId('playback-video'))
  await page.getByTestId('export-button').click()
  await expect(page.getByTestId('export-size')).toContainText('MP4')
  const line = await context.newCDPSession(page)
  await line.send('Network.enable')
  await line.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: 50_000, uploadThroughput: -1 })
  await page.getByTestId('export-start').click()
  await page.getByTestId('export-cancel').click()
  await expect(page.getByTestId('export-progress')).toHaveAttribute('data-state', 'cancelled')
  await expect(page.getByTestId('export-progress')).toContainText('Nothing was saved')
})
