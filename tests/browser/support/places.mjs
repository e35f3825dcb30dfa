// Where programs are found and output goes.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../../', import.meta.url))
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')

/** Pictures of every page, the recorder's log, and what failed tests leave. */
export const output = join(target, 'browser')
export const results = join(output, 'results')

/** The recorder and the camera: `target/debug`, or the folder that CANDOR_PROGRAMS names. */
const programs = process.env.CANDOR_PROGRAMS ?? join(target, 'debug')
export const candor = join(programs, 'candor')
export const testCamera = join(programs, 'test-camera')

/** A camera's clip; drawn where there is none. */
export const footage = join(root, '../shared/footage/car-detection.mp4')

/** Says what is missing and which command makes it. */
export function checkBuilt() {
  const needed = [
    [candor, 'cargo build -p candor'],
    [testCamera, 'cargo build -p test-camera'],
    [join(root, 'web/ui/dist/index.html'), 'make ui && cargo build -p candor'],
  ]
  const missing = needed.filter(([path]) => !existsSync(path))
  if (missing.length === 0) return
  const lines = missing.map(([path, command]) => `  ${path} is missing; build it: ${command}`)
  throw new Error(`These tests drive the built recorder.\n${lines.join('\n')}\n\`make test\` builds all of it.`)
}
