// `test` of what no recorder can be brought to on demand: the browser app against the mock of web/ui, one for each test.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { root } from './places.mjs'
import { test as base, expect } from './test.mjs'

export { expect }

/** What browsers say while nobody listens. */
export const OFFLINE = [/ERR_(CONNECTION|EMPTY_RESPONSE|SOCKET|ABORTED|FAILED|NETWORK|INCOMPLETE)/, /WebSocket connection to/]

export const test = base.extend({
  /** Who is logged in. */
  role: ['owner', { option: true }],

  recorder: async ({ role }, use) => {
    const child = spawn(process.execPath, [join(root, 'web/ui/mock/server.mjs')], {
      env: { ...process.env, PORT: '0', LOGGED_IN: '1', CHANNELS: '2', ROLE: role },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      for await (const line of createInterface({ input: child.stdout })) {
        const address = /(http:\S+)$/.exec(line)?.[1]
        if (address) {
          await use({ base: address })
          return
        }
      }
      throw new Error('the mock ended before it listened')
    } finally {
      child.kill()
    }
  },

  /** Tells the mock what is to happen or what it is: `mock('plan', { hold: 'receiving' })`. */
  mock: async ({ request, recorder }, use) => {
    await use(async (what, data) => {
      const answer = await request.post(`${recorder.base}/mock/${what}`, { data })
      expect(answer.ok(), await answer.text()).toBe(true)
    })
  },
})

/** A file that begins as a bundle does. */
export function bundle(version, { board = 'virt-a7', bytes = 600_000 } = {}) {
  const manifest = JSON.stringify({ type: 'bundle', format: 1, board, version, minimum_version: '0.1.0', created: '2026-11-20T10:00:00Z', commit: '5f0c2d7e91aa4b6c8d3e2f1a0b9c8d7e6f5a4b3c' })
  const envelope = Buffer.from(JSON.stringify({ roots: [], manifest, signatures: [] }))
  const head = Buffer.alloc(16)
  head.write('CANDORUP')
  head.writeUInt16LE(1, 8)
  head.writeUInt32LE(envelope.length, 12)
  return { name: `candor-${board}-${version}.bundle`, mimeType: 'application/octet-stream', buffer: Buffer.concat([head, envelope, Buffer.alloc(bytes, 7)]) }
}
