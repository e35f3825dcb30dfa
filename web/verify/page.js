// Takes a file, lets the worker verify it, and shows what came out. Everything from the file is shown as text.
const $ = (id) => document.getElementById(id)

const MEANING = {
  authentic_and_complete: 'This is what the recorder recorded, all of it, for the time that was asked for.',
  authentic_with_gaps: 'What is in this file is what the recorder recorded. Something is missing; it is listed below.',
  not_authentic: 'This file is not what the recorder recorded, or its proof does not hold.',
  no_proof: 'This file carries no proof. That says nothing about what it shows: nobody vouches for it.',
}
const WORDS = {
  authentic_and_complete: 'AUTHENTIC AND COMPLETE',
  authentic_with_gaps: 'AUTHENTIC WITH GAPS',
  not_authentic: 'NOT AUTHENTIC',
  no_proof: 'NO PROOF',
}
// A shape beside the colour.
const SHAPE = { authentic_and_complete: '✓', authentic_with_gaps: '◐', not_authentic: '✕', no_proof: '–' }

/** The module, which lies packed in the page. */
async function unpack() {
  const packed = Uint8Array.from(atob($('module').textContent.trim()), (c) => c.charCodeAt(0))
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

const module = unpack()
const workerUrl = URL.createObjectURL(new Blob([$('worker').textContent], { type: 'text/javascript' }))
let worker

/** An element with text or children in it. */
function element(tag, ...content) {
  const made = document.createElement(tag)
  made.append(...content.filter((part) => part !== null && part !== undefined))
  return made
}

function withClass(name, made) {
  made.className = name
  return made
}

function show(section) {
  for (const id of ['work', 'failed', 'result']) $(id).hidden = id !== section
}

function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000
    unit += 1
  }
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`
}

function stop() {
  worker?.terminate()
  worker = undefined
}

async function verify(file) {
  stop()
  $('name').textContent = file.name
  $('done').textContent = ''
  $('bar').value = 0
  show('work')
  const mine = new Worker(workerUrl)
  worker = mine
  worker.onmessage = ({ data }) => {
    if (data.done !== undefined) {
      $('bar').value = data.of > 0 ? data.done / data.of : 1
      $('done').textContent = `${size(data.done)} of ${size(data.of)}`
      return
    }
    stop()
    if (data.error) fail(`${file.name} could not be verified: ${data.error}.`)
    else report(file, data)
  }
  worker.onerror = (event) => {
    stop()
    fail(`${file.name} could not be verified: ${event.message}.`)
  }
  const key = $('key').value
  try {
    mine.postMessage({ file, key, module: await module })
  } catch (error) {
    stop()
    fail(`This browser cannot run the verifier: ${error.message}.`)
  }
}

function fail(words) {
  $('failed').textContent = words
  show('failed')
}

function place({ track, stream, from, to, bytes }) {
  const parts = []
  if (track !== null) parts.push(`track ${track}`)
  if (stream !== null) parts.push(`channel ${stream.channel} ${stream.kind}`)
  if (from !== null && to !== null) parts.push(`${from} to ${to}`)
  if (bytes !== null) parts.push(bytes.end - bytes.start <= 1 ? `byte ${bytes.start}` : `bytes ${bytes.start} to ${bytes.end - 1}`)
  return parts.length > 0 ? withClass('dim', element('div', parts.join(', '))) : null
}

const GAP = {
  missing: (gap) => `No footage from ${gap.from} to ${gap.to}`,
  clock_set_back: (gap) => `The clock was set back from ${gap.from} to ${gap.to}`,
  left_out: (gap) => `Left out from ${gap.from} to ${gap.to}: sound of another format`,
  loss: (gap) => `Pictures or sound were lost between ${gap.from} and ${gap.to}`,
}

function because(reasons) {
  if (reasons.length === 0) return [withClass('dim', element('div', 'no reason is recorded'))]
  return reasons.map((reason) => withClass('dim', element('div', `${reason.what} (ledger entry ${reason.leaf}, ${reason.at})`)))
}

function gapItem(gap) {
  return element('li', GAP[gap.kind](gap), ...(gap.kind === 'left_out' ? [] : because(gap.reasons)))
}

function absentPart(absent) {
  const words = element('p', 'There was no footage.')
  return withClass('track', element('div', element('h3', `Channel ${absent.channel}`), words, ...because(absent.reasons)))
}

function trackPart(track) {
  const { stream } = track
  const part = withClass('track', element('div', element('h3', `Channel ${stream.channel} ${stream.kind}`)))
  if (track.from !== null) part.append(element('p', `${track.from} to ${track.to}`))
  part.append(withClass('dim', element('p', `${size(track.bytes)} in ${track.chunks} chunks; ${track.sealed_chunks} of them were in the ledger before the export`)))
  if (track.gaps.length > 0) part.append(element('ul', ...track.gaps.map(gapItem)))
  if (track.more_gaps > 0) part.append(element('p', `and ${track.more_gaps} more gaps`))
  return part
}

function report(file, { report, text }) {
  $('result').className = report.verdict
  $('result-name').textContent = `${file.name}, ${size(file.size)}`
  $('verdict').textContent = `${SHAPE[report.verdict]} ${WORDS[report.verdict]}`
  $('meaning').textContent = MEANING[report.verdict]
  const { recorder } = report
  const unchecked = recorder && !recorder.trusted && report.verdict !== 'not_authentic'
  $('result').classList.toggle('unchecked', unchecked)
  $('compare').hidden = !unchecked
  if (recorder) {
    $('compare').replaceChildren(
      'Nobody has compared the key yet: this counts only if this is your recorder’s fingerprint: ',
      element('code', recorder.fingerprint),
    )
  }
  const findings = report.findings.map(({ what, place: at }) => element('li', what, place(at)))
  if (report.more_findings > 0) findings.push(element('li', `and ${report.more_findings} more`))
  $('findings').replaceChildren(...(findings.length > 0 ? [element('ul', ...findings)] : []))
  const facts = []
  const fact = (name, ...value) => facts.push(element('dt', name), element('dd', ...value))
  if (recorder) {
    fact('Recorder', recorder.name)
    fact('Key', element('code', recorder.fingerprint), recorder.trusted ? ', the one that you gave' : '')
  }
  if (report.export) {
    const { at, by, start, end, leaf, ledger_size } = report.export
    fact('Exported', `${at} by ${by}`)
    fact('Asked for', `${start} to ${end}`)
    fact('Ledger', `entry ${leaf} of ${ledger_size}`)
  }
  for (const seen of report.witnesses) fact('Seen by', `${seen.by} at ${seen.at}`)
  $('facts').replaceChildren(...facts)
  $('tracks').replaceChildren(...report.tracks.map(trackPart), ...report.absent.map(absentPart))
  $('text').textContent = text
  show('result')
}

$('ask').addEventListener('submit', (event) => event.preventDefault())
$('file').addEventListener('change', () => {
  const [file] = $('file').files
  // The same file again is a change, too.
  if (file) verify(file)
  $('file').value = ''
})
$('stop').addEventListener('click', () => {
  stop()
  show(undefined)
})
for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  window.addEventListener(kind, (event) => {
    event.preventDefault()
    $('drop').classList.toggle('over', kind === 'dragenter' || kind === 'dragover')
    if (kind === 'drop' && event.dataTransfer.files.length > 0) verify(event.dataTransfer.files[0])
  })
}
// The recorder's own link carries its fingerprint; what stands behind # is not sent anywhere.
const known = new URLSearchParams(location.hash.slice(1)).get('key')
if (known) $('key').value = known
$('save').hidden = location.protocol === 'file:'
