import { paintMask } from './masks.js';

/** Colours of masks and their phrases, in order: those of the overlays that the service draws. */
const PALETTE = ['#d6274f', '#1473d2', '#14803c', '#b45309', '#8b3fd1', '#0f7c8a', '#c2268f', '#6b6a12'];

/** One question and its answer: text with coloured phrases, and the painted masks. */
export class Turn {
  /** What arrived last about each segment, by index. */
  segments = [];
  text = '';

  constructor(question) {
    this.question = question;
    this.element = document.createElement('li');
    this.element.className = 'turn writing';
    for (const [name, text] of Object.entries({ question, answer: '', facts: '' })) {
      const line = document.createElement('p');
      line.className = name;
      line.textContent = text;
      this.element.append(line);
    }
  }

  /** Takes the text from `offset` (code points) on. */
  write(offset, text) {
    this.text = [...this.text].slice(0, offset).join('') + text;
    this.#show();
  }

  /** Paints a segment's mask; the phrase gets its colour as soon as its words are there. */
  add(segment) {
    const colour = PALETTE[segment.index % PALETTE.length];
    const painted = paintMask(segment.mask, colour);
    painted.canvas.dataset.index = segment.index;
    this.segments[segment.index] = { ...segment, ...painted, colour };
    this.#show();
  }

  /** Ends the turn with the whole answer. */
  complete({ text, segments, model, timings_ms, cache }) {
    this.text = text;
    for (const segment of segments) if (!this.segments[segment.index]) this.add(segment);
    this.#show();
    const cached = cache.image ? ', picture from the cache' : '';
    this.#line('facts').textContent = `${model} · ${Math.round(timings_ms.total)} ms${cached}`;
  }

  end() {
    this.element.classList.remove('writing');
  }

  /** Index of the segment at a point of the picture (0..1 of width and height). */
  segmentAt(x, y) {
    return this.segments.find((segment) => segment?.contains(x, y))?.index;
  }

  /** Lights up one segment's phrase, or none. */
  light(index) {
    for (const phrase of this.element.querySelectorAll('.phrase')) {
      phrase.classList.toggle('lit', phrase.dataset.index === String(index));
    }
  }

  #line(name) {
    return this.element.querySelector(`.${name}`);
  }

  #show() {
    const points = [...this.text];
    const pieces = [];
    let position = 0;
    for (const segment of this.segments.filter(Boolean)) {
      const [start, end] = segment.span;
      if (start < position || end <= start || end > points.length) continue;
      pieces.push(words(points.slice(position, start)), phrase(segment, points.slice(start, end)));
      position = end;
    }
    this.#line('answer').replaceChildren(...pieces, words(points.slice(position)));
  }
}

/** `<SEG>` stands for a mask, which is seen on the picture instead. */
function words(points) {
  return points.join('').replaceAll(/ ?<SEG>/g, '');
}

function phrase({ index, colour, score }, points) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'phrase';
  button.dataset.index = index;
  button.style.setProperty('--mask', colour);
  button.title = `Score ${score.toFixed(2)}`;
  // The span of a mask without a phrase is its <SEG>.
  button.textContent = words(points) || '●';
  return button;
}
