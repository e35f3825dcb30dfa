// Puts the verify page together: compiles the module, packs it into the page with styles and scripts, and writes the page and its
// content security policy to the folder that the recorder embeds.
//
//   node web/verify/build.mjs [FOLDER]     by default web/verify/dist
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = realpathSync(join(here, '../..'))
const out = resolve(process.argv[2] ?? join(here, 'dist'))
const target = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target')
// Set where an image is built a second time, in a folder without tools of its own.
const toolchain = process.env.CANDOR_TOOLCHAIN ?? join(target, 'toolchain')
const TRIPLE = 'wasm32-unknown-unknown'

/** rustup's Rust where it has the target, else Debian's, which brings the library's source (docs/boards.md). */
function rust() {
  try {
    const installed = execFileSync('rustup', ['target', 'list', '--installed'], { encoding: 'utf8' })
    if (installed.split('\n').includes(TRIPLE)) return { path: [], env: {}, args: [] }
  } catch {
    // No rustup.
  }
  if (existsSync('/usr/bin/rustc') && existsSync('/usr/lib/rustlib/src/rust/library/Cargo.lock')) {
    return { path: ['/usr/bin'], env: { RUSTC_BOOTSTRAP: '1' }, args: ['-Zbuild-std=std,panic_abort'] }
  }
  throw new Error(`no Rust for ${TRIPLE}: \`rustup target add ${TRIPLE}\`, or Debian's rustc-web, cargo-web and rust-web-src`)
}

/** The module. The C in it is compiled by zig, which `xtask/install.sh` installs. */
function compile() {
  const { path, env, args } = rust()
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), '.cargo')
  // No path of this machine in it. Of several that match, the last counts.
  const mapped = [[cargoHome, '/cargo'], ['/usr/lib/rustlib/src/rust', '/rust'], [root, '/candor']]
  const remap = mapped.map(([from, to]) => `--remap-path-prefix=${from}=${to}`)
  execFileSync(
    'cargo',
    ['zigbuild', '--locked', '--quiet', '--package', 'verify-page', '--target', TRIPLE, '--profile', 'small', ...args],
    {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        ...env,
        PATH: [join(toolchain, 'venv/bin'), ...path, process.env.PATH].join(':'),
        CARGO_TARGET_DIR: target,
        CARGO_ENCODED_RUSTFLAGS: '',
        RUSTC_WRAPPER: join(root, 'xtask/rustc-remapped.sh'),
        CANDOR_REMAP: remap.join('\u001f'),
        ZIG_GLOBAL_CACHE_DIR: join(toolchain, 'zig-cache'),
        ZIG_LOCAL_CACHE_DIR: join(toolchain, 'zig-cache'),
        CARGO_ZIGBUILD_CACHE_DIR: join(toolchain, 'zigbuild'),
      },
    },
  )
  const module = readFileSync(join(target, TRIPLE, 'small/verify_page.wasm'))
  if (module.includes(root)) throw new Error(`the module has the name of the folder ${root} in it`)
  return module
}

const read = (name) => readFileSync(join(here, name), 'utf8')
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

const module = gzipSync(compile(), { level: 9 })
const style = read('style.css')
const script = read('page.js')
// Nothing may be fetched, sent or framed, and no other script runs.
const policy = [
  "default-src 'none'",
  `script-src ${hash(script)} 'wasm-unsafe-eval'`,
  `style-src ${hash(style)}`,
  'worker-src blob:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')
const version = /^version = "(.*)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1]
const parts = { policy, style, script, version, worker: read('worker.js'), module: module.toString('base64') }
const page = read('page.html').replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name])

mkdirSync(out, { recursive: true })
writeFileSync(join(out, 'verify.html'), page)
// What only counts in a header (CSP level 3, 3.3) is added for the recorder.
writeFileSync(join(out, 'verify.csp'), `${policy}; frame-ancestors 'none'`)
console.log(`verify page ${(page.length / 1024).toFixed(0)} KB`)
