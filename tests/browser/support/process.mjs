// Child processes: their lines, their end, and programs that run to their end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A child whose console lines can be waited for. */
export class Child {
  #waiting = []
  #seen = []

  constructor(program, args, options = {}) {
    this.name = program.split('/').at(-1)
    this.process = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options })
    this.ended = once(this.process, 'exit').then(([code, signal]) => ({ code, signal }))
    this.ended.catch(() => {})
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.#seen.push(line)
      this.#waiting = this.#waiting.filter((look) => !look(line))
    })
  }

  /** What the first group of `pattern` matches in a line of the console, now or later. */
  async line(pattern, withinMs = 60_000) {
    for (const line of this.#seen) {
      const found = pattern.exec(line)
      if (found) return found[1]
    }
    let timer
    const found = new Promise((done) => {
      this.#waiting.push((line) => {
        const match = pattern.exec(line)
        if (match) done(match[1])
        return match !== null
      })
    })
    const failed = Promise.race([
      this.ended.then(({ code, signal }) => `it ended (${code ?? signal})`),
      new Promise((done) => { timer = setTimeout(() => done('it took too long'), withinMs) }),
    ]).then((why) => { throw new Error(`${this.name} did not say ${pattern}: ${why}. It said:\n${this.#seen.join('\n')}`) })
    try {
      return await Promise.race([found, failed])
    } finally {
      clearTimeout(timer)
      failed.catch(() => {})
    }
  }

  /** Sends the signal and waits for the end; kills after `withinMs` and says so. */
  async stop(signal, withinMs) {
    const begun = performance.now()
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal)
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.process.kill('SIGKILL')
    }, withinMs)
    const end = await this.ended
    clearTimeout(timer)
    if (late) throw new Error(`${this.name} did not end within ${withinMs / 1000} s of ${signal}`)
    return { ...end, tookMs: performance.now() - begun }
  }
}

/** Runs a program to its end; gives its output as bytes. Never throws for its exit code. */
export async function run(program, args, withinMs = 60_000) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
  const out = []
  const err = []
  child.stdout.on('data', (part) => out.push(part))
  child.stderr.on('data', (part) => err.push(part))
  const [code] = await once(child, 'close')
  clearTimeout(timer)
  return { code, out: Buffer.concat(out), err: Buffer.concat(err).toString() }
}

/** As `run`, and the program must end well. */
export async function must(program, args, withinMs) {
  const { code, out, err } = await run(program, args, withinMs)
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ended with ${code}\n${err}`)
  return out
}
