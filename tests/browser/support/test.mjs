// `test` of these tests: pages that report everything that goes wrong in them, and a page that is logged in.
import { test as base, expect } from '@playwright/test'
import { script } from './inpage.mjs'
import { recorder as running } from './recorder.mjs'

export { expect }

/** A page that opens before the log-in asks whether it is logged in; browsers note the answer "no" as an error. */
const USUAL = [/401 .*\/api\/v1\/session$/]

/** Everything that pages complain about. */
class Complaints {
  #found = []
  #allowed = [...USUAL]

  /** What a test provokes, matched against "text address". */
  allow(...patterns) {
    this.#allowed.push(...patterns)
  }

  watch(page) {
    page.on('pageerror', (error) => this.#found.push(`not caught: ${error.stack ?? error}`))
    page.on('console', (message) => {
      if (message.type() === 'error') this.#found.push(`${message.text()} ${message.location().url}`)
    })
  }

  get unexpected() {
    return this.#found.filter((one) => !this.#allowed.some((pattern) => pattern.test(one)))
  }
}

export const test = base.extend({
  recorder: async ({}, use) => use(running()),

  baseURL: async ({ recorder }, use) => use(recorder.base),

  complaints: [async ({ context }, use) => {
    const complaints = new Complaints()
    context.on('page', (page) => complaints.watch(page))
    await context.addInitScript(script)
    await use(complaints)
    expect(complaints.unexpected, 'errors that the page reported').toEqual([])
  }, { auto: true }],

  /** The API with the page's own session: `api('GET', '/system')`. */
  api: async ({ context, recorder }, use) => {
    await use(async (method, path, data) => {
      const answer = await context.request.fetch(`${recorder.base}/api/v1${path}`, {
        method, data, headers: { Origin: recorder.base },
      })
      if (!answer.ok()) throw new Error(`${method} ${path}: ${answer.status()} ${await answer.text()}`)
      return answer.status() === 204 ? null : answer.json()
    })
  },

  /** Runs of footage of a channel since the recorder was started. */
  runsOf: async ({ api, recorder }, use) => {
    const start = new Date(recorder.startedMs).toISOString()
    await use(async (channel) => {
      const { channels } = await api('GET', `/timeline?start=${start}&end=${new Date().toISOString()}&channel=${channel}`)
      const runs = channels.find((one) => one.channel === channel)?.runs ?? []
      return runs.map((run) => ({ startMs: Date.parse(run.start), endMs: Date.parse(run.end) }))
    })
  },

  /** Waits until this much of channel 1 is recorded. */
  recorded: async ({ runsOf }, use) => {
    await use((sec) => expect.poll(async () => {
      const [run] = await runsOf(1)
      return run ? (run.endMs - run.startMs) / 1000 : 0
    }, { message: 'recorded seconds of channel 1', timeout: 180_000, intervals: [1_000] }).toBeGreaterThan(sec))
  },

  /** The owner's login; claims the recorder where no test has done that. */
  claimed: async ({ playwright, recorder }, use) => {
    const anonymous = await playwright.request.newContext({
      baseURL: recorder.base, ignoreHTTPSErrors: true, extraHTTPHeaders: { Origin: recorder.base },
    })
    const { claimed } = await (await anonymous.get('/api/v1/state')).json()
    if (!claimed) await anonymous.post('/api/v1/claim', { data: { setup_code: recorder.setupCode, ...recorder.owner } })
    await anonymous.dispose()
    await use(recorder.owner)
  },

  /** The page, logged in as the owner. */
  owned: async ({ page, api, claimed }, use) => {
    await api('POST', '/session', claimed)
    await use(page)
  },
})
