import { describe, expect, it } from 'vitest'
import { readHead } from './bundle'

function bundle(envelope: string, magic = 'CANDORUP', length = envelope.length): Blob {
  const head = new DataView(new ArrayBuffer(16))
  ;[...magic].forEach((letter, at) => head.setUint8(at, letter.charCodeAt(0)))
  head.setUint16(8, 1, true)
  head.setUint32(12, length, true)
  return new Blob([head, envelope, new Uint8Array(64)])
}
const envelope = (manifest: unknown) => JSON.stringify({ roots: [], manifest: JSON.stringify(manifest), signatures: [] })

describe('readHead', () => {
  it('reads what a bundle says', async () => {
    const manifest = { type: 'bundle', board: 'virt-a7', version: '0.2.0', created: '2026-11-20T10:00:00Z', commit: 'abc' }
    expect(await readHead(bundle(envelope(manifest)))).toEqual({ board: 'virt-a7', version: '0.2.0', created: '2026-11-20T10:00:00Z', commit: 'abc' })
  })

  it('finds none in other files', async () => {
    const good = envelope({ board: 'b', version: '1.0.0' })
    expect(await readHead(new Blob([]))).toBeNull()
    expect(await readHead(new Blob(['a picture of a cat, or so it says']))).toBeNull()
    expect(await readHead(bundle(good, 'CANDORUQ'))).toBeNull()
    expect(await readHead(bundle(good, 'CANDORUP', 2 ** 31))).toBeNull()
    expect(await readHead(bundle('{"manifest":'))).toBeNull()
    expect(await readHead(bundle(envelope({ board: 'b', version: 7 })))).toBeNull()
  })
})
