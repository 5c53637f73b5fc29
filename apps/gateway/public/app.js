import { ask, Problem } from './service.js';
import { Turn } from './turn.js';

const STAGES = { encode: 'Looking at the picture …', generate: 'Writing the answer …', decode: 'Drawing a mask …' };
/** Turns that are sent along with a question. */
const HISTORY_TURNS = 3;

const byId = (id) => document.getElementById(id);
const [drop, file, photo, picture, turnList] = ['drop', 'file', 'photo', 'picture', 'turns'].map(byId);
const choose = document.querySelector('#choose strong');
const [form, question, send, stop, progress, problem] = ['ask', 'question', 'send', 'stop', 'progress', 'problem'].map(
  byId,
);

/** The picture that is asked about: `blob`, and `imageId` once the service knows it. */
let current;
let turns = [];
/** The turn whose masks lie over the picture. */
let shown;
let running;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void answer(question.value.trim());
});
stop.addEventListener('click', () => running?.abort());
file.addEventListener('change', () => file.files[0] && show(file.files[0]));
document.addEventListener('paste', (event) => {
  const pasted = [...event.clipboardData.files].find(isPicture);
  if (pasted) show(pasted);
});
for (const name of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle('over', name === 'dragenter' || name === 'dragover');
  });
}
drop.addEventListener('drop', (event) => {
  const dropped = event.dataTransfer.files[0];
  if (dropped && isPicture(dropped)) show(dropped);
  else complain('Drop a picture: a JPEG, PNG or WebP file.');
});
for (const example of document.querySelectorAll('[data-photo]')) {
  example.addEventListener('click', async () => {
    const response = await fetch(example.dataset.photo);
    if (!response.ok) return complain('This example cannot be loaded. Choose a picture of your own.');
    show(await response.blob());
    question.value = example.dataset.question;
    question.focus();
  });
}

photo.addEventListener('load', () => {
  picture.style.setProperty('--ratio', photo.naturalWidth / photo.naturalHeight);
});
photo.addEventListener('error', () =>
  complain('Your browser cannot show this picture. Choose a JPEG, PNG or WebP file.'),
);
picture.addEventListener('pointermove', (event) => {
  const { left, top, width, height } = picture.getBoundingClientRect();
  light(shown, shown?.segmentAt((event.clientX - left) / width, (event.clientY - top) / height));
});
picture.addEventListener('pointerleave', () => light(shown, undefined));
for (const name of ['pointerover', 'focusin', 'pointerout', 'focusout']) {
  turnList.addEventListener(name, (event) => {
    const phrase = event.target.closest('.phrase');
    if (!phrase) return;
    const turn = turns.find(({ element }) => element.contains(phrase));
    overlay(turn);
    light(turn, name === 'pointerover' || name === 'focusin' ? Number(phrase.dataset.index) : undefined);
  });
}

/** Puts a picture on the stage and begins a new conversation about it. */
function show(blob) {
  running?.abort();
  if (current) URL.revokeObjectURL(photo.src);
  current = { blob };
  turns = [];
  turnList.replaceChildren();
  overlay(undefined);
  complain('');
  photo.src = URL.createObjectURL(blob);
  choose.textContent = 'Another picture';
  picture.hidden = false;
  drop.classList.add('filled');
  question.focus();
}

async function answer(instruction) {
  if (!current) return complain('Choose a picture first.');
  if (instruction === '' || running) return;
  const asked = current;
  const turn = new Turn(instruction);
  running = new AbortController();
  busy(true);
  turnList.append(turn.element);
  overlay(turn);
  try {
    for await (const event of ask(asked, instruction, history(), running.signal)) take(asked, turn, event);
    turns.push(turn);
    question.value = '';
  } catch (error) {
    turn.element.remove();
    if (shown === turn) overlay(turns.at(-1));
    if (!running.signal.aborted) {
      if (!(error instanceof Problem)) console.error(error);
      complain(error instanceof Problem ? error.message : 'The answer broke off. Ask again.');
    }
  } finally {
    turn.end();
    running = undefined;
    busy(false);
    question.focus();
  }
}

/** What an event of the job changes on the page. */
function take(asked, turn, event) {
  if (event.type === 'accepted') asked.imageId = event.image_id;
  else if (event.type === 'stage' && !event.done) progress.textContent = STAGES[event.stage];
  else if (event.type === 'text') turn.write(event.offset, event.text);
  else if (event.type === 'segment') turn.add(event.segment);
  else if (event.type === 'completed') turn.complete(event.answer);
  else if (event.type === 'failed') throw new Problem(event.error.message);
  else if (event.type === 'cancelled') throw new Problem('This question was cancelled. Ask again.');
  if (shown === turn && (event.type === 'segment' || event.type === 'completed')) overlay(turn);
}

function history() {
  return turns.slice(-HISTORY_TURNS).map((turn) => ({ instruction: turn.question, answer: turn.text }));
}

/** Lays a turn's masks over the picture. */
function overlay(turn) {
  shown = turn;
  const canvases = (turn?.segments ?? []).filter(Boolean).map(({ canvas }) => canvas);
  for (const old of picture.querySelectorAll('canvas')) if (!canvases.includes(old)) old.remove();
  for (const canvas of canvases) if (canvas.parentElement !== picture) picture.append(canvas);
}

/** Lights up one segment: its phrase in the answer and its mask on the picture. */
function light(turn, index) {
  turn?.light(index);
  picture.classList.toggle('marked', index !== undefined);
  for (const canvas of picture.querySelectorAll('canvas')) {
    canvas.classList.toggle('lit', canvas.dataset.index === String(index));
  }
}

function busy(working) {
  send.hidden = working;
  stop.hidden = !working;
  progress.textContent = working ? 'Sending …' : '';
  if (working) complain('');
}

function complain(sentence) {
  problem.textContent = sentence;
  problem.hidden = sentence === '';
}

function isPicture({ type }) {
  return type.startsWith('image/');
}
