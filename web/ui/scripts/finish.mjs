// After the build: a .gz beside every compressible file of dist, and the bundle budget held.
// Fails when the scripts and styles together exceed the budget of the design (150 KB gzip).
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const DIST = new URL('../dist', import.meta.url).pathname
const BUDGET_BYTES = 150 * 1024
const COMPRESSIBLE = /\.(html|js|css|svg|json|txt|webmanifest)$/

/** Every file under `folder`. */
function files(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? files(path) : [path]
  })
}

let total = 0
for (const path of files(DIST).filter((path) => COMPRESSIBLE.test(path))) {
  const plain = readFileSync(path)
  // No time stamp in the header: the same sources give the same bytes.
  const packed = gzipSync(plain, { level: 9 })
  writeFileSync(`${path}.gz`, packed)
  total += packed.length
  console.log(`${path.slice(DIST.length + 1).padEnd(36)} ${String(plain.length).padStart(8)} ${String(packed.length).padStart(8)} gzip`)
}
console.log(`bundle ${(total / 1024).toFixed(1)} KB gzip of ${BUDGET_BYTES / 1024} KB`)
if (total > BUDGET_BYTES) {
  console.error('The bundle exceeds its budget. Take something out or raise the budget in the design first.')
  process.exit(1)
}
