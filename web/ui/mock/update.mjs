// The mock's own software: takes bundles as the recorder would, without looking at signatures, and restarts.
// `plan` says what is to happen; `hold` stops at a stage until it is changed, so that it can be looked at.
import { createHash } from 'node:crypto'

const HEAD_BYTES = 16
const TICK_MS = 100
const iso = (ms = Date.now()) => new Date(ms).toISOString()
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const hash = (text) => createHash('sha256').update(text).digest('hex')

class Refusal extends Error {
  constructor(status, code, message, field) {
    super(message)
    Object.assign(this, { status, code, field })
  }
}

/** What is to happen. */
export const plan = {
  /** `{ status, code, message }`: the answer to the next bundle that has arrived whole. */
  refuse: null,
  /** `good` or `rolled_back`. */
  outcome: 'good',
  /** A stage to stop at. */
  hold: null,
  bytesPerSec: 4e6,
  /** Breaks the connection of uploads after so many bytes. */
  cutAtBytes: null,
  /** How long a restart takes. */
  downMs: 2500,
  checkMs: 1500,
  /** Whether everybody has to log in again after it. */
  forgetSessions: false,
}

const image = (version) => ({ version, commit: hash(`commit ${version}`).slice(0, 40), root_sha256: hash(version), slot: 'a', trying: false, created: '2026-11-12T09:30:00Z', signed_by: 'release' })
export const update = {
  supported: true, reason: null,
  stage: { code: 'idle', message: '', done_bytes: 0, total_bytes: 0, version: null },
  installed: image('0.1.0'),
  other: { slot: 'b', version: '0.0.9', state: 'good' },
  last: { version: '0.1.0', outcome: 'good', message: 'It is installed and healthy.', at: iso(Date.now() - 6 * 86400e3) },
  floor: '0.0.8',
  keys: [{ id: hash('release 1'), kind: 'release' }, { id: hash('release 2'), kind: 'release' }],
  usb: [{ device: 'sdb1', file: 'candor-virt-a7-0.2.0.bundle', version: '0.2.0', bytes: 7_412_345 }],
}

/** What the mock needs of the server: `push()` tells the pages, `restart(ms)` is silent for so long. */
let push = () => {}
let restart = () => {}
let cancelled = false
export const connect = (hooks) => ({ push, restart } = hooks)

function stage(code, message = '', more = {}) {
  update.stage = { code, message, done_bytes: 0, total_bytes: 0, version: update.stage.version, ...more }
  if (code === 'idle') update.stage.version = null
  push()
}

async function held(code) {
  while (plan.hold === code && !cancelled) await sleep(20)
  if (cancelled) throw new Refusal(409, 'cancelled', 'The update was cancelled.')
}

const older = (a, b) => a.localeCompare(b, 'en', { numeric: true }) < 0

function manifestOf(head) {
  if (head.length < HEAD_BYTES || head.toString('latin1', 0, 8) !== 'CANDORUP') throw new Refusal(422, 'not_a_bundle', 'This is not a bundle.')
  return JSON.parse(JSON.parse(head.subarray(HEAD_BYTES, HEAD_BYTES + head.readUInt32LE(12)).toString()).manifest)
}

function allow({ version }, downgrade) {
  if (older(version, update.floor)) throw new Refusal(409, 'too_old', `${version} is below ${update.floor}.`)
  if (older(version, update.installed.version) && !downgrade) throw new Refusal(409, 'downgrade', `${version} is older than ${update.installed.version}.`)
}

function idleOrBusy() {
  if (!update.supported) throw new Refusal(409, 'not_supported', update.reason)
  if (!['idle', 'failed'].includes(update.stage.code)) throw new Refusal(409, 'busy', 'An update is on its way.')
  cancelled = false
}

/** Everything after the last byte. */
async function verify() {
  stage('verifying', 'The signature and every byte are checked.')
  await sleep(300)
  await held('verifying')
  if (plan.refuse) {
    const { status, code, message } = plan.refuse
    plan.refuse = null
    throw new Refusal(status, code, message)
  }
}

async function installed(version, bytes) {
  for (let done = 0; done < bytes; done += bytes / 12) {
    stage('installing', 'The new version is written.', { done_bytes: Math.round(done), total_bytes: bytes })
    if (done >= bytes / 2) await held('installing')
    await sleep(TICK_MS)
  }
  stage('restarting', 'The recorder restarts.')
  await held('restarting')
  await sleep(TICK_MS)
  const before = update.installed
  restart(plan.downMs)
  update.installed = { ...image(version), slot: before.slot === 'a' ? 'b' : 'a', trying: true }
  update.other = { slot: before.slot, version: before.version, state: 'good' }
  stage('checking', 'Waiting for a picture of every channel.')
  await sleep(plan.downMs + plan.checkMs)
  await held('checking')
  const at = iso()
  if (plan.outcome === 'good') {
    update.installed.trying = false
    update.last = { version, outcome: 'good', message: 'It is installed and healthy.', at }
  } else {
    restart(plan.downMs)
    update.other = { slot: update.installed.slot, version, state: 'failed' }
    update.installed = before
    update.last = { version, outcome: 'rolled_back', message: 'Channel 2 recorded nothing within 3 minutes.', at }
  }
  stage('idle')
}

async function receive(request, downgrade) {
  const total = Number(request.headers['content-length'])
  stage('receiving', 'The update arrives.', { total_bytes: total, version: null })
  let head = Buffer.alloc(0)
  let done = 0
  let toldMs = 0
  let refusal = null
  let version = null
  for await (const part of request) {
    done += part.length
    if (refusal) continue
    if (head.length < 4096) {
      head = Buffer.concat([head, part])
      try {
        const manifest = manifestOf(head)
        version = manifest.version
        allow(manifest, downgrade)
      } catch (error) {
        refusal = error
      }
    }
    if (plan.cutAtBytes !== null && done > plan.cutAtBytes) { request.socket.destroy(); break }
    if (done > total * 0.4) await held('receiving')
    if (Date.now() - toldMs > TICK_MS) { toldMs = Date.now(); stage('receiving', 'The update arrives.', { done_bytes: done, total_bytes: total, version }) }
    await sleep((part.length / plan.bytesPerSec) * 1000)
  }
  if (done < total) throw new Refusal(400, 'body_cut_off', 'The file ended early. Send it again.')
  if (refusal) throw refusal
  await verify()
  return { version, bytes: Math.max(total - 4096, 1) }
}

async function fromStick({ device, file, downgrade }) {
  const one = update.usb.find((usb) => usb.device === device && usb.file === file)
  if (!one) throw new Refusal(404, 'no_file', 'There is no such file on the stick.')
  allow(one, downgrade)
  stage('receiving', 'The update is read from the stick.', { total_bytes: one.bytes, version: one.version })
  await held('receiving')
  await verify()
  return one
}

const CODE = '7K2M-QX4D'

/** Answers what begins with /update; gives `[status, body]`. */
export async function answerUpdate(request, url, body) {
  const path = url.pathname.slice('/api/v1/update'.length)
  const is = (method, wanted) => request.method === method && path === wanted
  let begun = false
  try {
    if (is('GET', '')) return [200, update]
    if (is('POST', '') || is('POST', '/usb')) {
      idleOrBusy()
      begun = true
      const { version, bytes } = path === '' ? await receive(request, url.searchParams.get('downgrade') === '1') : await fromStick(await body(request))
      update.stage.version = version
      void installed(version, bytes)
      return [202, update]
    }
    if (is('DELETE', '')) {
      if (!['receiving', 'verifying'].includes(update.stage.code)) throw new Refusal(409, update.stage.code === 'idle' ? 'nothing_to_cancel' : 'too_late', 'It cannot be cancelled.')
      cancelled = true
      return [204]
    }
    if (is('POST', '/presence')) return [204]
    const { code, public_key } = await body(request)
    if (code !== CODE) throw new Refusal(422, 'wrong_code', 'This is not the code that the recorder shows. Four tries are left.', 'code')
    update.keys = update.keys.filter((key) => key.kind === 'release')
    if (is('PUT', '/owner-key')) update.keys.push({ id: hash(Buffer.from(public_key, 'hex')), kind: 'owner' })
    push()
    return [200, update]
  } catch (error) {
    if (begun) stage('idle')
    if (!(error instanceof Refusal)) throw error
    const { status, code, message, field } = error
    return [status, { error: { code, message, ...(field ? { field } : {}) } }]
  }
}
