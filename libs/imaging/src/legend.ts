import { segmentColour, type Segment } from '@segue/core';
import { sharp } from './sharp.js';

/** Red, green, blue and alpha of a rendered text. */
export interface RenderedText {
  readonly width: number;
  readonly height: number;
  readonly data: Buffer;
}

export type LegendEntry = Pick<Segment, 'index' | 'phrase' | 'span'>;

/** The segments' places in an answer: colours say as much. */
const SEGMENT = / ?<SEG>/g;

/** libvips cuts a text off where its letters end, and coloured ground with it; unseen strokes before and after keep that. */
const EDGE = '<span alpha="1">|</span>';

/**
 * Renders an answer in which each phrase stands on its mask's colour; without an answer, the phrases alone.
 * Needs a font on the system; without one its letters are empty boxes.
 * @param width pixels of a line
 * @param fontSize pixels
 */
export async function renderLegend(
  entries: readonly LegendEntry[],
  text: string | undefined,
  { width, fontSize }: { width: number; fontSize: number },
): Promise<RenderedText> {
  const markup = text?.replaceAll(SEGMENT, '').trim()
    ? answerMarkup(text, entries)
    : entries.map(phraseMarkup).join('   ');
  const { data, info } = await sharp({
    text: {
      text: `<span size="30%">${EDGE}</span>\n<span foreground="#1f2328">${markup}</span>${EDGE}`,
      font: `sans ${fontSize}`,
      dpi: 72,
      width,
      wrap: 'word-char',
      rgba: true,
      spacing: Math.round(fontSize / 3),
    },
  })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

function answerMarkup(text: string, entries: readonly LegendEntry[]): string {
  const points = [...text];
  const piece = (start: number, end?: number): string => {
    const words = points.slice(start, end).join('');
    return escape(words.replaceAll(SEGMENT, ''));
  };
  let markup = '';
  let position = 0;
  const unplaced: LegendEntry[] = [];
  for (const entry of [...entries].sort((a, b) => a.span[0] - b.span[0])) {
    const [start, end] = entry.span;
    if (start < position || end <= start) {
      unplaced.push(entry);
      continue;
    }
    markup += piece(position, start) + chip(entry.index, piece(start, end));
    position = end;
  }
  return [markup + piece(position), ...unplaced.map(phraseMarkup)].join('   ');
}

function phraseMarkup({ index, phrase }: LegendEntry): string {
  return chip(index, escape(phrase) || `${index + 1}`);
}

function chip(index: number, content: string): string {
  return `<span background="${segmentColour(index)}" foreground="white">\u00a0${content}\u00a0</span>`;
}

/** Pango reads markup; control characters and halves of surrogate pairs would make it fail. */
function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
  return text.replace(/[\p{Cc}\p{Cs}]/gu, ' ').replace(/[&<>]/g, (character) => entities[character]!);
}
