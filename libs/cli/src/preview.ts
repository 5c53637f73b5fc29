import type { WriteStream } from 'node:tty';
import type { Answer } from '@segue/client';

/** Columns of the terminal that a preview takes at most, and pixels for them on a screen of high resolution. */
const [COLUMNS, PIXELS] = [60, 1000];
/** A cell is about so many times as high as it is wide. */
const CELL_RATIO = 2;
/** Rows that are left for the words above and the prompt below. */
const OTHER_ROWS = 3;
const KITTY_CHUNK = 4096;
const ESC = '\u001b';

/** Shows the picture under its masks where the terminal says that it shows pictures: iTerm2, WezTerm, kitty, Ghostty. */
export async function showPreview(picture: Uint8Array, { segments, text }: Answer): Promise<void> {
  const write = process.stdout.isTTY ? protocolOf(terminal()) : undefined;
  if (!write) return;
  const { renderOverlay } = await import('@segue/imaging');
  const png = await renderOverlay(picture, segments, { text, largest: PIXELS });
  process.stdout.write(`${write(png, columnsOf(png, process.stdout))}\n`);
}

type Protocol = (png: Buffer, columns: number) => string;

/** @param name what the terminal calls itself. */
export function protocolOf(name: string): Protocol | undefined {
  if (/^(iTerm|WezTerm)/.test(name)) return inlineImage;
  if (/kitty|ghostty/.test(name)) return kittyGraphics;
  return undefined;
}

/** How wide a picture may be so that the whole of it is on the screen. */
export function columnsOf(png: Buffer, { columns = 80, rows = 24 }: Partial<WriteStream>): number {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const wholeHeight = Math.floor(((rows - OTHER_ROWS) * CELL_RATIO * width) / height);
  return Math.max(1, Math.min(COLUMNS, columns, wholeHeight));
}

/** iTerm2's inline images: https://iterm2.com/documentation-images.html */
function inlineImage(png: Buffer, columns: number): string {
  const what = `inline=1;width=${columns};preserveAspectRatio=1;size=${png.byteLength}`;
  return `${ESC}]1337;File=${what}:${png.toString('base64')}\u0007`;
}

/** kitty's graphics protocol, in pieces, without replies: https://sw.kovidgoyal.net/kitty/graphics-protocol */
function kittyGraphics(png: Buffer, columns: number): string {
  const pieces = png.toString('base64').match(new RegExp(`.{1,${KITTY_CHUNK}}`, 'g')) ?? [];
  return pieces
    .map((piece, index) => {
      const first = index === 0 ? `a=T,f=100,q=2,c=${columns},` : '';
      return `${ESC}_G${first}m=${index < pieces.length - 1 ? 1 : 0};${piece}${ESC}\\`;
    })
    .join('');
}

function terminal(): string {
  const { TERM_PROGRAM, TERM } = process.env;
  return TERM_PROGRAM ?? TERM ?? '';
}
