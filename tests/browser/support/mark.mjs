// Reads the machine-readable mark of simulated pictures, as docs/sim-mark.md describes it.

/** The mark's size in coded samples. */
export const MARK = { width: 256, height: 112 }

/**
 * The mark in a grey picture of one byte a sample, or null. Also run inside the page, from its source text:
 * it must not refer to anything outside itself.
 */
export function readMark(grey, width, codedWidth) {
  const cell = (16 * width) / codedWidth
  const bytes = new Uint8Array(14)
  for (let n = 0; n < 112; n++) {
    const [column, row] = [n % 16, Math.floor(n / 16)]
    const x0 = Math.floor((column + 0.25) * cell)
    const x1 = Math.max(x0 + 1, Math.floor((column + 0.75) * cell))
    const y0 = Math.floor((row + 0.25) * cell)
    const y1 = Math.max(y0 + 1, Math.floor((row + 0.75) * cell))
    let sum = 0
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += grey[y * width + x]
    if (sum > 126 * (x1 - x0) * (y1 - y0)) bytes[n >> 3] |= 0x80 >> (n & 7)
  }
  let crc = 0xffff
  for (const byte of bytes.subarray(0, 12)) {
    crc ^= byte << 8
    for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  const view = new DataView(bytes.buffer)
  if (bytes[0] !== 0xb2 || view.getUint16(12) !== crc) return null
  return { channel: bytes[1], counter: view.getUint32(2), wallMs: view.getUint16(6) * 2 ** 32 + view.getUint32(8) }
}
