// What a bundle says about itself, read before it is sent so that people see what they chose. Nothing is verified here.

export interface BundleHead {
  board: string
  version: string
  created: string | null
  commit: string | null
}

const MAGIC = 'CANDORUP'
/** Magic, format, reserved, length of the envelope. */
const HEAD_BYTES = 16
/** Longer envelopes are refused by the recorder. */
const MAX_ENVELOPE_BYTES = 256 * 1024

/** Null when the file does not begin as a bundle does. */
export async function readHead(file: Blob): Promise<BundleHead | null> {
  try {
    const head = new DataView(await file.slice(0, HEAD_BYTES).arrayBuffer())
    const magic = String.fromCharCode(...new Uint8Array(head.buffer, 0, MAGIC.length))
    const length = head.getUint32(12, true)
    if (magic !== MAGIC || length > MAX_ENVELOPE_BYTES) return null
    const envelope = JSON.parse(await file.slice(HEAD_BYTES, HEAD_BYTES + length).text()) as { manifest?: unknown }
    if (typeof envelope.manifest !== 'string') return null
    const manifest = JSON.parse(envelope.manifest) as Record<string, unknown>
    const text = (field: string) => (typeof manifest[field] === 'string' ? manifest[field] : null)
    const [board, version] = [text('board'), text('version')]
    if (board === null || version === null) return null
    return { board, version, created: text('created'), commit: text('commit') }
  } catch {
    return null
  }
}
