// Runs the module over a file. In a worker the file can be read while the module waits, and the page stays alive.
let file
let key
let memory
let told = 0

const page = {
  key(into, room) {
    const { read, written } = new TextEncoder().encodeInto(key, new Uint8Array(memory.buffer, into, room))
    return read === key.length ? written : 0
  },
  read(offset, into, size) {
    try {
      const bytes = new FileReaderSync().readAsArrayBuffer(file.slice(offset, offset + size))
      if (bytes.byteLength !== size) return 0
      new Uint8Array(memory.buffer, into, size).set(new Uint8Array(bytes))
      return 1
    } catch {
      return 0
    }
  },
  progress(done, of) {
    // A message for each chunk would only keep the page busy.
    if (performance.now() - told < 100) return
    told = performance.now()
    postMessage({ done, of })
  },
  answer(text, size) {
    postMessage(JSON.parse(new TextDecoder().decode(new Uint8Array(memory.buffer, text, size))))
  },
}

onmessage = async ({ data }) => {
  file = data.file
  key = data.key
  try {
    const { instance } = await WebAssembly.instantiate(data.module, { page })
    memory = instance.exports.memory
    instance.exports.verify(file.size)
  } catch (error) {
    postMessage({ error: `this browser could not do it: ${error.message}` })
  }
}
