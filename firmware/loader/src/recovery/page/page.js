'use strict';
const at = (id) => document.getElementById(id);
const say = (id, text, bad) => { at(id).textContent = text; at(id).classList.toggle('bad', !!bad); };
const size = (bytes) => (bytes / 1048576).toFixed(1) + ' MB';
const LOST = 'The recorder does not answer. Check the cable and that it is switched on.';
let again = null;
let sending = false;

const ask = async (method, path, body) => {
  const headers = { 'X-Candor-Recovery': '1' };
  if (body) headers['Content-Type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  const value = text ? JSON.parse(text) : {};
  if (!answer.ok) throw Object.assign(new Error(value.message || LOST), value);
  return value;
};

const show = (state) => {
  say('why', state.reason.message);
  at('board').textContent = state.board;
  at('version').textContent = state.reason.version || 'not known any more';
  at('loader').textContent = state.loader;
  say('address', state.fingerprint ? 'Certificate SHA-256 ' + state.fingerprint : '');
  const stage = state.stage;
  const busy = !['idle', 'failed'].includes(stage.code);
  at('presence').hidden = state.unlocked || busy;
  at('install').hidden = !state.unlocked || busy || sending;
  at('work').hidden = !busy && !sending;
  if (!state.code_good && !state.unlocked) {
    say('unlock-answer', 'The code is not good any more. Switch the recorder off and on for a new one.', true);
    at('unlock').hidden = true;
  }
  if (!sending || stage.code !== 'receiving') work(stage.message, stage.done_bytes, stage.total_bytes);
  if (stage.code === 'failed') say('install-answer', stage.message, true);
  at('media').hidden = state.media.length === 0;
  const known = state.media.map((m) => m.device + m.file).join();
  if (at('files').dataset.known !== known) {
    at('files').dataset.known = known;
    at('files').replaceChildren(...state.media.map((m) => {
      const row = document.createElement('li');
      const name = document.createElement('span');
      name.textContent = m.file + ' (' + m.device + ', ' + size(m.bytes) + ')';
      const button = document.createElement('button');
      button.textContent = 'Check and install';
      button.addEventListener('click', () => fromMedia(m, false));
      row.append(name, button);
      return row;
    }));
  }
};

const work = (words, done, total) => {
  say('stage', words);
  if (total) { at('bar').max = total; at('bar').value = done; } else { at('bar').removeAttribute('value'); }
  say('count', total ? size(done) + ' of ' + size(total) : '');
};

const refused = (error, retry) => {
  say('install-answer', error.message || LOST, true);
  again = error.code === 'downgrade' ? retry : null;
  at('older').hidden = !again;
};

const upload = (file, older) => {
  const request = new XMLHttpRequest();
  request.open('POST', '/api/bundle' + (older ? '?downgrade=1' : ''));
  request.setRequestHeader('Content-Type', 'application/octet-stream');
  request.setRequestHeader('X-Candor-Recovery', '1');
  request.upload.addEventListener('progress', (e) => work('Sending ' + file.name, e.loaded, file.size));
  const end = () => {
    sending = false;
    let value = {};
    try { value = JSON.parse(request.responseText); } catch { /* cut off: no answer */ }
    if (request.status >= 400 || request.status === 0) refused(value, () => upload(file, true));
    poll();
  };
  request.addEventListener('loadend', end);
  sending = true;
  at('install').hidden = true;
  at('work').hidden = false;
  say('install-answer', '');
  request.send(file);
};

const fromMedia = async (m, older) => {
  say('install-answer', '');
  at('older').hidden = true;
  try {
    await ask('POST', '/api/media', { device: m.device, file: m.file, downgrade: older });
  } catch (error) { refused(error, () => fromMedia(m, true)); }
  poll();
};

at('unlock').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    await ask('POST', '/api/presence', { code: at('code').value });
    say('unlock-answer', '');
  } catch (error) { say('unlock-answer', error.message || LOST, true); }
  poll();
});
at('upload').addEventListener('submit', (event) => {
  event.preventDefault();
  at('older').hidden = true;
  upload(at('file').files[0], false);
});
at('older').addEventListener('submit', (event) => {
  event.preventDefault();
  at('older').hidden = true;
  if (again) again();
});

let timer = 0;
let restarting = false;
const poll = async () => {
  clearTimeout(timer);
  let next = 1000;
  try {
    const state = await ask('GET', '/api/state');
    restarting = state.stage.code === 'restarting';
    show(state);
  } catch {
    if (restarting) {
      work('The recorder restarts with the new system. Open its usual address in a minute.', 0, 0);
      next = 5000;
    } else { say('why', LOST, true); next = 3000; }
  }
  timer = setTimeout(poll, next);
};
poll();
