// The recorder under test: started before the first test, stopped cleanly after the last, its footage checked then.
// Four channels: two simulated ones, a network camera from a clip, one that loses its signal for 5 s of each 20 s.
// Workers get what they need to know of it through the environment (`recorder()`).
import { mkdirSync, mkdtempSync, openSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { candor, checkBuilt, footage, output, testCamera } from './places.mjs'
import { Child, must, run } from './process.mjs'

const VARIABLE = 'CANDOR_UNDER_TEST'
/** Time that a stop may take here; the goal of 2 s is for a machine that does nothing else, so it is printed. */
const STOP_WITHIN_MS = 20_000

/** What tests know of the recorder: addresses, set-up code, login, cameras. */
export function recorder() {
  return JSON.parse(process.env[VARIABLE])
}

export default async function start() {
  checkBuilt()
  rmSync(output, { recursive: true, force: true })
  mkdirSync(output, { recursive: true })
  const dir = mkdtempSync(join(tmpdir(), 'candor-browser-'))
  const children = []
  const stop = async () => {
    for (const child of children.splice(0).reverse()) await child.stop('SIGKILL', 5_000).catch(() => {})
    rmSync(dir, { recursive: true, force: true })
  }
  // Whatever ends this program early must not leave a recorder behind.
  const orphan = () => children.forEach((child) => child.process.kill('SIGTERM'))
  process.once('exit', orphan)
  try {
    const clip = await clipFor(dir)
    const camera = async (...args) => {
      const child = new Child(testCamera, ['--port', '0', '--clip', clip, '--until-eof', ...args])
      children.push(child)
      return child.line(/^(rtsp:\/\/\S+)/)
    }
    const login = { user: 'installer', password: 'ladder and phone' }
    const cameraUrl = await camera()
    const lockedUrl = await camera('--user', login.user, '--password', login.password)
    const [web, rtsp, rtsps, closed] = await freePorts(4)
    const data = join(dir, 'data')
    mkdirSync(data, { mode: 0o700 })
    writeFileSync(join(data, 'settings.toml'), settings({ web, rtsp, rtsps, cameraUrl }))
    const log = openSync(join(output, 'candor.log'), 'w')
    const daemon = new Child(candor, ['run', '--data', data], {
      stdio: ['ignore', 'pipe', log],
      env: { ...process.env, NO_COLOR: '1' },
    })
    children.push(daemon)
    const startedMs = Date.now()
    const setupCode = await daemon.line(/^Set-up code: (\S+)/)
    const base = (await daemon.line(/^Web: (https:\/\/\S+)/)).replace(/\/$/, '')
    process.env[VARIABLE] = JSON.stringify({
      base, setupCode, startedMs, data, rtspPort: rtsp, cameraUrl,
      lockedCamera: { url: withoutLogin(lockedUrl), ...login },
      closedUrl: `rtsp://127.0.0.1:${closed}/stream`,
      owner: { user: 'anna', password: 'correct horse battery' },
    })
    console.log(`recorder: ${base}, started after ${Date.now() - startedMs} ms; its log is ${join(output, 'candor.log')}`)

    return async () => {
      try {
        children.splice(children.indexOf(daemon), 1)
        const end = await daemon.stop('SIGINT', STOP_WITHIN_MS)
        console.log(`recorder: stopped within ${Math.round(end.tookMs)} ms (goal: 2000)`)
        if (end.code !== 0) throw new Error(`the recorder ended with ${end.code ?? end.signal} after SIGINT`)
        const check = await run(candor, ['store', 'check', data])
        if (check.code !== 0) throw new Error(`the footage is damaged:\n${check.out}${check.err}`)
      } finally {
        process.off('exit', orphan)
        await stop()
      }
    }
  } catch (error) {
    process.off('exit', orphan)
    await stop()
    throw error
  }
}

/** A real street with its sound where there is one, else a drawn scene. */
async function clipFor(dir) {
  if (existsSync(footage)) return footage
  const clip = join(dir, 'clip.mp4')
  const scene = ['-f', 'lavfi', '-i', 'testsrc2=size=768x432:rate=12.5:duration=30']
  const sound = ['-f', 'lavfi', '-i', 'sine=frequency=440:beep_factor=4:sample_rate=48000:duration=30']
  const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '25', '-c:a', 'aac', '-movflags', '+faststart']
  await must('ffmpeg', ['-v', 'error', '-y', ...scene, ...sound, ...coding, clip])
  return clip
}

const withoutLogin = (url) => url.replace(/\/\/[^/@]*@/, '//')

/** All are held until all are known, so that they differ. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

function settings({ web, rtsp, rtsps, cameraUrl }) {
  const input = (number, title, source) => `
[[channel]]
number = ${number}
title = "${title}"
[channel.input]
source = "${source}"
main = { codec = "h264", width = 640, height = 360, frame_rate = 15, bit_rate_bps = 1000000, gop_frames = 30 }
sub = { codec = "h264", width = 320, height = 180, frame_rate = 15, bit_rate_bps = 300000, gop_frames = 30 }
`
  return `version = 1
name = "Test bench"
time_zone = "Etc/UTC"

[web]
address = "127.0.0.1:${web}"

[rtsp]
enabled = false
address = "127.0.0.1:${rtsp}"
tls_address = "127.0.0.1:${rtsps}"

[storage]
max_bytes = 4294967296
segment_bytes = 67108864
${input(1, 'Front door', 'sim:sim0')}${input(2, 'Yard', 'sim:sim1')}
[[channel]]
number = 3
title = "Road"
[channel.camera]
url = "${cameraUrl}"
${input(4, 'Loose cable', 'sim:sim2:lost=5/20')}`
}
