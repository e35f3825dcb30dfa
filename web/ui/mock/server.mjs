// A recorder for developing the browser app: answers the HTTP API with plausible data and streams looped footage.
// Not a test of the recorder, never shipped. `mock/clips.sh` makes the footage first. Options are environment variables:
// PORT (5180, 0 for a free one), CLAIMED=0 (first run), CHANNELS (5), ROLE (owner). GET /mock/drop ends all streams for
// 6 s. POST /mock/plan, /mock/update and /mock/disks change what updates do (see update.mjs), what runs, and the disks.
import { execFile } from 'node:child_process'
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { WebSocketServer } from 'ws'
import { answerUpdate, connect, plan, update } from './update.mjs'

const run = promisify(execFile)
const HERE = new URL('.', import.meta.url).pathname
const DIST = join(HERE, '../dist')
const PORT = Number(process.env.PORT ?? 5180)
const COUNT = Number(process.env.CHANNELS ?? 5)
const STARTED = Math.floor(Date.now() / 1000) * 1000
const iso = (ms) => new Date(ms).toISOString()
// As web/src/security.rs serves it.
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Data

let claimed = process.env.CLAIMED !== '0'
let loggedIn = process.env.LOGGED_IN === '1'
let down = false
/** Set by /mock/disks. */
let disks = null
const settings = { name: 'Harbour office', time_zone: 'Europe/Berlin', rtsp_enabled: true, rtsp_allow: [], rtsp_multicast: { enabled: false, group: '239.192.0.0', ttl: 1 }, encrypt_new_disks: true, mirror_disks: false }
const RECOVERY_KEY = '4KQ7W-9M2XD-0TZ3H-VB8RC-N6YJ5-EGA1P-7SF4M-2XQ0T'
const deletions = []
const locks = [{ id: 1, channels: [1, 2], start: iso(STARTED - 7200e3), end: iso(STARTED - 6600e3), reason: 'bicycle theft', by: 'anna', at: iso(STARTED - 3600e3) }]
const keys = [{ name: 'vlc-desk', created: iso(STARTED - 86400e3 * 3), replay: true }]
const cameras = [
  { channel: 3, title: 'Gate', url: 'rtsp://192.0.2.31/stream1', user: 'admin', has_password: true, transport: 'tcp' },
  { channel: 5, title: 'Loading bay', url: 'rtsp://192.0.2.44:554/h264Preview_01_main', user: 'viewer', has_password: true, transport: 'udp' },
]
const h264 = (width, height, frame_rate, bit_rate_bps) => ({ codec: 'h264', width, height, frame_rate, bit_rate_bps })
const TITLES = ['Front door', 'Car park', 'Gate', 'Back door', 'Loading bay', 'Stairs', 'Office', 'Roof', 'Archive', 'Canteen', 'Workshop', 'Yard', 'Lift', 'Cellar', 'Reception', 'Garage']
const channels = Array.from({ length: COUNT }, (_, i) => ({
  channel: i + 1,
  title: TITLES[i] ?? `Channel ${i + 1}`,
  source: i === 2 || i === 4 ? 'camera' : 'input',
  state: { code: 'ok', since: iso(STARTED - 7200e3), message: '' },
  recording: true,
  keep_days: i === 2 ? 7 : null,
  keep_event_days: i === 2 ? 30 : null,
  main: h264(1280, 720, i % 2 ? 25 : 10, i % 2 ? 1_730_000 : 1_080_000),
  sub: h264(640, 360, i % 2 ? 12.5 : 10, i % 2 ? 441_000 : 414_000),
  audio: i === 1 ? { codec: 'aac', sample_rate: 48000, channels: 2 } : null,
  motion_percent: i === 1 ? 12 : null,
}))
if (channels[3]) Object.assign(channels[3], { state: { code: 'no_signal', since: iso(STARTED - 754e3), message: `Back door has sent no picture since ${new Date(STARTED - 754e3).toLocaleTimeString('en-GB', { timeZone: 'Europe/Berlin', hour: '2-digit', minute: '2-digit' })}. Check its cable or power.` }, recording: false })
if (channels[4]) Object.assign(channels[4], { state: { code: 'wrong_password', since: iso(STARTED - 61e3), message: 'Loading bay refuses the user name or password. Enter them again under Settings, Cameras.' }, recording: false, main: null, sub: null })
if (channels[5]) Object.assign(channels[5], { state: { code: 'unreachable', since: iso(STARTED - 90000e3), message: 'Stairs at 192.0.2.50 does not answer. Check its power and network cable.' }, recording: false, main: null, sub: null })

const footageFrom = STARTED - 26 * 3600e3
/** Recorded around the clock but for some holes. */
function runsOf(channel) {
  const holes = channel === 4
    ? [[STARTED - 754e3, Date.now() + 1e9], [STARTED - 9000e3, STARTED - 8995e3]]
    : channel === 3
      ? [[STARTED - 21600e3, STARTED - 18000e3], [STARTED - 1500e3, STARTED - 1380e3], [STARTED - 300e3, STARTED - 290e3]]
      : channel === 5 ? [[0, STARTED - 4000e3], [STARTED - 3600e3, Date.now() + 1e9]]
        : [[STARTED - 40000e3 - channel * 900e3, STARTED - 39900e3 - channel * 900e3]]
  const runs = []
  let from = footageFrom + channel * 400e3
  for (const [a, b] of holes.sort((x, y) => x[0] - y[0])) {
    if (a > from) runs.push([from, a])
    from = Math.max(from, b)
  }
  if (from < Date.now()) runs.push([from, Date.now()])
  return runs
}
const clip = (runs, a, b) => runs.filter(([s, e]) => e > a && s < b).map(([s, e]) => [Math.max(s, a), Math.min(e, b)])

function system() {
  const role = (name, pid, restarts, mb, since, note = null) => ({ role: name, state: 'running', pid, restarts, since: iso(since), memory_bytes: mb * 1e6, note })
  return {
    version: update.installed.version, image: update.installed, uptime_sec: Math.round((Date.now() - STARTED) / 1000) + 7213, time: iso(Date.now()),
    roles: [
      role('warden', 812, 0, 4.1, STARTED - 7213e3), role('capture', 818, 0, 11.8, STARTED - 7212e3), role('ingest', 819, 1, 9.4, STARTED - 1382e3, 'restarted after a crash 23 min ago'),
      role('record', 820, 0, 14.2, STARTED - 7212e3), role('serve', 821, 0, 12.7, STARTED - 7212e3),
    ],
    disks: disks ?? [{ path: '/data', device: 'sda', state: 'ok', encryption: 'recoverable', total_bytes: 4e12, used_bytes: 1.34e12, locked_bytes: 2.1e9, retention: [{ keep_days: null, used_bytes: 1.2e12, expected_hours: 1030 }, { keep_days: 7, used_bytes: 1.4e11, expected_hours: 168 }], write_bytes_per_sec: 1_310_000 + Math.round(Math.random() * 9e4), oldest: iso(footageFrom), newest: iso(Date.now()) }],
    lost: [],
    sandbox: { level: 'full', message: 'Every role runs under its own user with seccomp and Landlock; none can open what it does not need.' },
  }
}
const watchers = new Set()
function trust() {
  return {
    watching: [...[...watchers].map((one) => ({ user: 'anna', from: '192.0.2.7', via: 'browser', ...one })), { user: 'vlc-desk', from: '192.0.2.80', channel: 2, stream: 'main', via: 'rtsp', since: iso(STARTED - 4000e3) }],
    disk: { state: 'ok', message: 'disk recording, 26 hours kept' },
    roles: { running: 5, total: 5 },
    recording: { channels: channels.filter((one) => one.recording).length, total: channels.length },
    ledger: { fingerprint: 'e212-7314-f21c-aa0b-fe4e-83ef-9ec2-5fd2', size: LEDGER.length, root: '4f3a'.padEnd(62, '0') + 'c1', signed: iso(Date.now() - 20e3) },
  }
}

const LEDGER = Array.from({ length: 260 }, (_, n) => {
  const kinds = [
    { kind: 'view_started', by: 'anna', from: '192.0.2.7', channel: 1 + (n % 8), stream: 'main', via: 'web' },
    { kind: 'login_failed', by: 'admin', from: '192.0.2.99' },
    { kind: 'export', by: 'anna', from: '192.0.2.7', channels: [2, 3], start: iso(STARTED - 600e3), end: iso(STARTED - 300e3), heads: [], manifest: '00' },
    { kind: 'segment_sealed', volume: '00'.repeat(16), segment: n, class: 0, streams: [{ channel: 1, stream: 'main' }, { channel: 2, stream: 'main' }] },
  ]
  return JSON.stringify({ time: iso(STARTED - (260 - n) * 60e3), ...kinds[n % kinds.length] })
})
function ledger(before, limit) {
  const end = Math.min(before ?? LEDGER.length, LEDGER.length)
  const entries = LEDGER.slice(Math.max(0, end - limit), end).map((leaf, n, list) => ({ index: end - list.length + n, leaf })).reverse()
  return { origin: 'candor/1/0001-00', public_key: 'candor/1/0001-00+00000000+AAAA', fingerprint: trust().ledger.fingerprint, checkpoint: 'candor/1/0001-00\n260\n\n', size: LEDGER.length, entries }
}

// Live: fragments of a looped file, renumbered so that time goes on

function boxes(file) {
  const found = []
  for (let at = 0; at + 8 <= file.length;) {
    const size = file.readUInt32BE(at)
    found.push({ type: file.toString('latin1', at + 4, at + 8), data: file.subarray(at, at + size) })
    at += size
  }
  return found
}

/** Every `tfdt` in a fragment, for reading and rewriting its time. */
function tfdts(moof) {
  const found = []
  for (let at = moof.indexOf('tfdt'); at !== -1; at = moof.indexOf('tfdt', at + 4)) found.push(at + 8)
  return found
}

function loop(name, mime) {
  const path = join(HERE, 'clips', `${name}.mp4`)
  if (!existsSync(path)) return null
  const all = boxes(readFileSync(path))
  const init = Buffer.concat(all.filter((box) => box.type === 'ftyp' || box.type === 'moov').map((box) => box.data))
  const moov = all.find((box) => box.type === 'moov').data
  const scales = []
  for (let at = moov.indexOf('mdhd'); at !== -1; at = moov.indexOf('mdhd', at + 4)) scales.push(moov.readUInt32BE(at + 4 + (moov[at + 4] === 1 ? 20 : 12)))
  const fragments = []
  for (let i = 0; i + 1 < all.length; i++) {
    if (all[i].type !== 'moof') continue
    const data = Buffer.concat([all[i].data, all[i + 1].data])
    const track = data.readUInt32BE(data.indexOf('tfhd') + 8)
    const at = tfdts(all[i].data)[0]
    const start = Number(data.readBigUInt64BE(at)) / scales[track - 1]
    fragments.push({ data, track, start, scale: scales[track - 1] })
  }
  const length = Math.max(...fragments.filter((one) => one.track === 1).map((one) => one.start)) + 0.08
  fragments.sort((a, b) => a.start - b.start)
  return { init, fragments, length, mime }
}
const AVC_SUB = 'video/mp4; codecs="avc1.64001e"'
const AVC_MAIN = 'video/mp4; codecs="avc1.64001f"'
const loops = {
  'road-sub': loop('road-sub', AVC_SUB), 'road-main': loop('road-main', 'video/mp4; codecs="avc1.64001f,mp4a.40.2"'), 'road-main-mute': loop('road-main-mute', AVC_MAIN),
  'people-sub': loop('people-sub', AVC_SUB), 'people-main': loop('people-main', AVC_MAIN),
}

function stream(socket, channel, kind, audio) {
  const road = channel % 2 === 0
  const source = loops[road ? (kind === 'sub' ? 'road-sub' : audio ? 'road-main' : 'road-main-mute') : `people-${kind}`]
  if (!source || channels[channel - 1]?.state.code !== 'ok') {
    socket.send(JSON.stringify({ type: 'waiting' }))
    return
  }
  const watcher = { channel, stream: kind, since: iso(Date.now()) }
  watchers.add(watcher)
  socket.send(JSON.stringify({ type: 'init', mime: source.mime, width: 640, height: 360 }))
  socket.send(source.init)
  // Every viewer sees the same moment; start at the last second's keyframe.
  const now = () => Date.now() / 1000 - 1_700_000_000 + channel * 7
  const from = Math.floor(now()) - 0.5
  let turn = Math.floor(from / source.length)
  let i = source.fragments.findIndex((one) => one.track === 1 && one.start >= from % source.length && one.start % 1 < 0.05)
  if (i < 0) { i = 0; turn++ }
  const send = () => {
    for (;;) {
      const fragment = source.fragments[i]
      const at = turn * source.length + fragment.start
      if (at > now()) break
      const data = Buffer.from(fragment.data)
      data.writeBigUInt64BE(BigInt(Math.round(at * fragment.scale)), tfdts(data)[0])
      if (socket.readyState === 1) socket.send(data)
      if (++i === source.fragments.length) { i = 0; turn++ }
    }
  }
  send()
  const timer = setInterval(send, 20)
  socket.on('close', () => { clearInterval(timer); watchers.delete(watcher); push('trust', trust()) })
  push('trust', trust())
}

// Server-sent events

const listeners = new Set()
function push(event, view) {
  for (const answer of listeners) answer.write(`event: ${event}\ndata: ${JSON.stringify(view)}\n\n`)
}
setInterval(() => {
  // Bit rates are measured, so the view of the channels changes every second.
  for (const one of channels) for (const stream of [one.main, one.sub]) if (stream) stream.bit_rate_bps = Math.round(stream.bit_rate_bps * (0.97 + Math.random() * 0.06))
  push('channels', channels)
}, 1000)
setInterval(() => push('system', system()), 2000)

// HTTP

const cuts = new Map()
/** A movie from the hour with the clock in it, so that minutes and seconds in the picture are those asked for. */
function cut(start, end) {
  const key = `${start}-${end}`
  if (!cuts.has(key)) {
    const out = join(tmpdir(), `candor-mock-${process.pid}-${key}.mp4`)
    const offset = (start / 1000) % 3600
    cuts.set(key, run('ffmpeg', ['-y', '-v', 'error', '-stream_loop', '1', '-ss', String(offset), '-i', join(HERE, 'clips/hour.mp4'), '-t', String(Math.min((end - start) / 1000, 3600)), '-c', 'copy', '-movflags', '+faststart', out]).then(() => out))
  }
  return cuts.get(key)
}

function json(answer, status, body) {
  const text = body === undefined ? '' : JSON.stringify(body)
  answer.writeHead(status, text ? { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' } : {})
  answer.end(text)
}
const fail = (answer, status, code, message, field) => json(answer, status, { error: { code, message, ...(field ? { field } : {}) } })
const me = () => ({ user: 'anna', role: process.env.ROLE ?? 'owner', csrf: 'c5f3' })

async function body(request) {
  let text = ''
  for await (const part of request) text += part
  return text ? JSON.parse(text) : {}
}

async function api(request, answer, url) {
  const path = url.pathname.slice('/api/v1'.length)
  const is = (method, pattern) => request.method === method && (typeof pattern === 'string' ? path === pattern : pattern.exec(path))
  let m
  if (is('GET', '/state')) return json(answer, 200, { claimed, name: settings.name, version: update.installed.version })
  if (is('POST', '/claim')) {
    const input = await body(request)
    if (claimed) return fail(answer, 404, 'claimed', 'This recorder has an owner.')
    if (!/^TEST/i.test(input.setup_code)) return fail(answer, 401, 'wrong_setup_code', 'This is not the set-up code. It is on the recorder’s screen or console.', 'setup_code')
    claimed = loggedIn = true
    return json(answer, 201, { ...me(), recovery_key: RECOVERY_KEY })
  }
  if (is('POST', '/session')) {
    const input = await body(request)
    if (input.password !== 'correct horse battery') return fail(answer, 401, 'wrong_login', 'User name or password is wrong.')
    loggedIn = true
    return json(answer, 200, me())
  }
  if (!loggedIn) return fail(answer, 401, 'no_session', 'Log in first.')
  if (!['GET', 'HEAD'].includes(request.method) && request.headers['x-csrf-token'] !== 'c5f3') return fail(answer, 403, 'csrf', 'No token.')
  if (is('GET', '/session')) return json(answer, 200, me())
  if (is('DELETE', '/session')) { loggedIn = false; return json(answer, 204) }
  if (is('GET', '/channels')) return json(answer, 200, channels)
  if ((m = is('PUT', /^\/channels\/(\d+)$/))) {
    const { title, keep_days: days, keep_event_days: events } = await body(request)
    const rival = channels.find((one) => one.channel !== Number(m[1]) && one.keep_days >= 4 && one.keep_days <= 7 && days >= 4 && days <= 7 && one.keep_days !== days)
    if (rival) return fail(answer, 422, 'out_of_range', `keep days: another channel keeps ${rival.keep_days} days, and of 4 to 7 only one number can be in use`, 'keep_days')
    Object.assign(channels[m[1] - 1], { title }, days === undefined ? {} : { keep_days: days || null }, events === undefined ? {} : { keep_event_days: events || null })
    push('channels', channels)
    return json(answer, 200, channels[m[1] - 1])
  }
  if ((m = is('POST', /^\/channels\/(\d+)\/event$/))) {
    return channels[m[1] - 1]?.keep_event_days ? json(answer, 204) : fail(answer, 409, 'no_event_days', 'Event footage of this channel is kept as the rest is.')
  }
  if (is('GET', '/locks')) return json(answer, 200, locks)
  if (is('POST', '/locks')) {
    const input = await body(request)
    if (Date.parse(input.end) - Date.parse(input.start) > 12 * 3600e3) return fail(answer, 409, 'too_much_locked', 'At most half of a disk can be locked, so that there is room to record. Lock less, or unlock something first.')
    const lock = { id: Date.now(), channels: input.channels, start: iso(Date.parse(input.start) - 10e3), end: input.end, reason: input.reason, by: 'anna', at: iso(Date.now()) }
    locks.push(lock)
    return json(answer, 201, { lock, bytes: 134217728 })
  }
  if ((m = is('DELETE', /^\/locks\/(\d+)$/))) {
    const at = locks.findIndex((one) => one.id === Number(m[1]))
    if (at < 0) return fail(answer, 404, 'no_lock', 'There is no such lock any more.')
    locks.splice(at, 1)
    return json(answer, 204)
  }
  if (is('GET', '/deletions')) return json(answer, 200, deletions.filter((one) => Date.now() - Date.parse(one.at) < 3e3))
  if ((m = is('POST', /^\/deletions(\/scope)?$/))) {
    const input = await body(request)
    const [start, end] = [Date.parse(input.start), Date.parse(input.end)]
    const kept = locks.find((one) => Date.parse(one.start) < end && Date.parse(one.end) > start && one.channels.some((n) => input.channels.includes(n)))
    if (kept) return fail(answer, 409, 'footage_locked', 'Some of this is locked. Unlock it under Health first, or choose a stretch without it.')
    if (!m[1]) deletions.push({ id: Date.now(), channels: input.channels, start: input.start, end: input.end, by: 'anna', at: iso(Date.now()) })
    return json(answer, m[1] ? 200 : 201, { channels: input.channels, start: input.start, end: input.end, bytes: Math.round((end - start) * 500), silent_disks: 0 })
  }
  if (is('GET', '/cameras')) return json(answer, 200, cameras)
  if (is('POST', '/cameras')) {
    const { password, ...input } = await body(request)
    if (!/^rtsps?:\/\//.test(input.url)) return fail(answer, 422, 'not_an_rtsp_address', 'Write the address like rtsp://192.0.2.7/stream1.', 'url')
    const channel = channels.length + 1
    const camera = { channel, has_password: Boolean(password), ...input }
    cameras.push(camera)
    channels.push({ channel, title: input.title, source: 'camera', state: { code: 'starting', since: iso(Date.now()), message: `Connecting to ${input.title}.` }, recording: false, keep_days: null, main: null, sub: null, audio: null, motion_percent: null })
    push('channels', channels)
    return json(answer, 201, camera)
  }
  if ((m = is('PUT', /^\/cameras\/(\d+)$/))) {
    const { password, ...input } = await body(request)
    const camera = cameras.find((one) => one.channel === Number(m[1]))
    Object.assign(camera, input, password === undefined ? {} : { has_password: password !== '' })
    channels[m[1] - 1].title = input.title
    push('channels', channels)
    return json(answer, 200, camera)
  }
  if ((m = is('DELETE', /^\/cameras\/(\d+)$/))) {
    cameras.splice(cameras.findIndex((one) => one.channel === Number(m[1])), 1)
    channels.splice(channels.findIndex((one) => one.channel === Number(m[1])), 1)
    push('channels', channels)
    return json(answer, 204)
  }
  if (is('GET', '/system')) return json(answer, 200, system())
  if (is('GET', '/ledger')) return json(answer, 200, ledger(url.searchParams.has('before') ? Number(url.searchParams.get('before')) : null, 100))
  if (is('GET', '/trust')) return json(answer, 200, trust())
  if (is('GET', '/settings')) return json(answer, 200, settings)
  if (is('PUT', '/settings')) return json(answer, 200, Object.assign(settings, await body(request)))
  if (is('GET', '/stream-keys')) return json(answer, 200, keys)
  if (is('POST', '/stream-keys')) {
    const { name, replay = false } = await body(request)
    if (keys.some((one) => one.name === name)) return fail(answer, 409, 'exists', `There is a key called ${name} already. Choose another name.`, 'name')
    keys.push({ name, created: iso(Date.now()), replay })
    return json(answer, 201, { name, key: 'kestrel-42-lantern-orbit-9f', rtsp_port: 8554, rtsps_port: 8322 })
  }
  if ((m = is('DELETE', /^\/stream-keys\/(.+)$/))) { keys.splice(keys.findIndex((one) => one.name === decodeURIComponent(m[1])), 1); return json(answer, 204) }
  if (path === '/update' || path.startsWith('/update/')) {
    const [status, view] = await answerUpdate(request, url, body)
    return answer.destroyed ? undefined : json(answer, status, view)
  }
  if ((m = is('POST', /^\/disks\/(\w+)\/format$/))) {
    if ((await body(request)).confirm !== 'ERASE') return fail(answer, 422, 'not_confirmed', 'Type ERASE to erase the disk.', 'confirm')
    const disk = system().disks.find((one) => one.device === m[1])
    if (!disk) return fail(answer, 404, 'no_disk', 'There is no such disk.')
    setTimeout(() => {
      disks = system().disks.map((one) => (one.device === disk.device ? { ...one, path: '/data', state: 'ok', message: '', used_bytes: 0, oldest: null, newest: null } : one))
      push('system', system())
    }, 1500)
    return json(answer, 202)
  }
  if (is('POST', '/storage/recovery-key')) {
    if ((await body(request)).password !== 'correct horse battery') return fail(answer, 422, 'wrong_password', 'This is not your password.', 'password')
    return json(answer, 201, { recovery_key: RECOVERY_KEY })
  }
  if ((m = is('POST', /^\/storage\/(unlock|erase)$/))) {
    const input = await body(request)
    const disk = system().disks.find((one) => one.path === input.path)
    if (!disk) return fail(answer, 404, 'no_disk', 'There is no such disk any more.')
    if (m[1] === 'erase' && input.confirm !== 'ERASE') return fail(answer, 422, 'not_confirmed', 'Type ERASE to erase the disk.', 'confirm')
    if (m[1] === 'unlock' && input.recovery_key.replace(/[\s-]/g, '').toUpperCase() !== RECOVERY_KEY.replaceAll('-', '')) return fail(answer, 422, 'wrong_key', 'This is a recovery key, but not this disk\u2019s. Take that of the recorder that wrote to it last.', 'recovery_key')
    disks = system().disks.map((one) => (one === disk || one.path === disk.path ? { ...one, state: 'ok', encryption: 'recoverable', message: '', ...(m[1] === 'erase' ? { used_bytes: 0, oldest: null, newest: null } : {}) } : one))
    push('system', system())
    return json(answer, 204)
  }
  if (is('GET', '/updates')) {
    answer.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    listeners.add(answer)
    request.on('close', () => listeners.delete(answer))
    for (const [event, view] of [['channels', channels], ['trust', trust()], ['system', system()], ['update', update]]) answer.write(`event: ${event}\ndata: ${JSON.stringify(view)}\n\n`)
    return
  }
  const start = Date.parse(url.searchParams.get('start') ?? '')
  const end = Date.parse(url.searchParams.get('end') ?? '')
  if (is('GET', '/timeline')) {
    const only = url.searchParams.get('channel')
    return json(answer, 200, {
      channels: channels.filter((one) => !only || one.channel === Number(only)).map((one) => {
        const runs = runsOf(one.channel)
        return { channel: one.channel, runs: clip(runs, start, end).map(([a, b]) => ({ start: iso(a), end: iso(b) })), oldest: runs[0] ? iso(runs[0][0]) : null, newest: runs.length ? iso(runs.at(-1)[1]) : null }
      }),
    })
  }
  if ((m = is('GET', /^\/channels\/(\d+)\/recording(\.mp4)?$/)) || (m = is('HEAD', /^\/channels\/(\d+)\/recording(\.mp4)$/))) {
    const channel = Number(m[1])
    const parts = clip(runsOf(channel), start, end)
    if (!parts.length) return fail(answer, 404, 'no_footage', 'There is no footage of this channel then.')
    const from = parts[0][0]
    const to = parts.at(-1)[1]
    if (!m[2]) {
      return json(answer, 200, {
        start: iso(from), end: iso(to), bytes: Math.round((to - from) * 56), frame_rate: 10,
        mime: channel === 7 ? 'video/mp4; codecs="hvc1.1.6.L93.B0"' : 'video/mp4; codecs="avc1.42c01e"',
        pieces: parts.map(([a, b]) => ({ start: iso(a), end: iso(b), media_start_sec: (a - from) / 1000 })),
      })
    }
    const path = await cut(from, to)
    const size = statSync(path).size
    const headers = { 'Content-Type': 'video/mp4', 'Accept-Ranges': 'bytes', ETag: `"${from}-${to}"` }
    if (url.searchParams.get('download')) headers['Content-Disposition'] = `attachment; filename="candor-ch${channel}-${iso(from).slice(0, 19).replaceAll(':', '-')}Z.mp4"`
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    const a = range ? Number(range[1]) : 0
    const b = range && range[2] ? Math.min(Number(range[2]), size - 1) : size - 1
    answer.writeHead(range ? 206 : 200, { ...headers, 'Content-Length': b - a + 1, ...(range ? { 'Content-Range': `bytes ${a}-${b}/${size}` } : {}) })
    if (!process.env.SLOW || !url.searchParams.get('download')) return void createReadStream(path, { start: a, end: b }).pipe(answer)
    // SLOW=1: downloads at about 1 MB/s, so that they can be watched and cancelled.
    for await (const part of createReadStream(path, { start: a, end: b })) {
      if (answer.destroyed) return
      answer.write(part)
      await new Promise((done) => setTimeout(done, 60))
    }
    answer.end()
    return
  }
  fail(answer, 404, 'unknown', 'There is nothing at this address.')
}

/** Ends all streams and answers nobody for a while. */
function drop(ms) {
  down = true
  for (const socket of sockets.clients) socket.terminate()
  for (const listener of listeners) listener.destroy()
  setTimeout(() => { down = false }, ms)
}

function restart(ms) {
  if (plan.forgetSessions) loggedIn = false
  drop(ms)
}
connect({ push: () => push('update', update), restart })

const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' }
const server = createServer((request, answer) => {
  const url = new URL(request.url, 'http://localhost')
  if (down) return request.socket.destroy()
  if (url.pathname === '/mock/drop') {
    drop(Number(url.searchParams.get('ms') ?? 6000))
    return json(answer, 204)
  }
  if (url.pathname.startsWith('/mock/')) {
    body(request).then((input) => {
      if (url.pathname === '/mock/plan') Object.assign(plan, input)
      else if (url.pathname === '/mock/update') { Object.assign(update, input); push('update', update); push('system', system()) }
      else if (url.pathname === '/mock/disks') { disks = input; push('system', system()) }
      json(answer, 204)
    }).catch((error) => fail(answer, 400, 'mock', String(error)))
    return
  }
  if (url.pathname.startsWith('/api/v1/')) {
    api(request, answer, url).catch((error) => { console.error(error); if (!answer.headersSent) fail(answer, 503, 'mock', String(error)) })
    return
  }
  const file = join(DIST, url.pathname)
  const path = existsSync(file) && statSync(file).isFile() ? file : join(DIST, 'index.html')
  answer.writeHead(200, { 'Content-Type': TYPES[path.split('.').at(-1)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP, 'X-Content-Type-Options': 'nosniff' })
  createReadStream(path).pipe(answer)
})
const sockets = new WebSocketServer({ noServer: true })
server.on('upgrade', (request, socket, head) => {
  const m = /^\/api\/v1\/channels\/(\d+)\/(main|sub)\/live\?audio=([01])/.exec(request.url)
  if (!m || !loggedIn || down) return socket.destroy()
  sockets.handleUpgrade(request, socket, head, (ws) => stream(ws, Number(m[1]), m[2], m[3] === '1'))
})
server.listen(PORT, '127.0.0.1', () => console.log(`mock recorder on http://127.0.0.1:${server.address().port}`))
