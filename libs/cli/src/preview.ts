import type { Answer } from '@segue/client';

/** Columns of the terminal that a preview takes. */
const COLUMNS = 60;
const KITTY_CHUNK = 4096;
const ESC = '\u001b';

/** Shows the picture under its masks where the terminal says that it shows pictures: iTerm2, WezTerm, kitty, Ghostty. */
export async function showPreview(picture: Uint8Array, { segments, text }: Answer): Promise<void> {
  const write = process.stdout.isTTY ? protocolOf(terminal()) : undefined;
  if (!write) return;
  const { renderOverlay } = await import('@segue/imaging');
  const png = await renderOverlay(picture, segments, { text });
  process.stdout.write(`${write(png)}\n`);
}

type Protocol = (png: Buffer) => string;

/** @param name what the terminal calls itself. */
export function protocolOf(name: string): Protocol | undefined {
  if (/^(iTerm|WezTerm)/.test(name)) return inlineImage;
  if (/kitty|ghostty/.test(name)) return kittyGraphics;
  return undefined;
}

/** iTerm2's inline images: https://iterm2.com/documentation-images.html */
function inlineImage(png: Buffer): string {
  const what = `inline=1;width=${COLUMNS};preserveAspectRatio=1;size=${png.byteLength}`;
  return `${ESC}]1337;File=${what}:${png.toString('base64')}\u0007`;
}

/** kitty's graphics protocol, in pieces: https://sw.kovidgoyal.net/kitty/graphics-protocol */
function kittyGraphics(png: Buffer): string {
  const pieces = png.toString('base64').match(new RegExp(`.{1,${KITTY_CHUNK}}`, 'g')) ?? [];
  return pieces
    .map((piece, index) => {
      const first = index === 0 ? `a=T,f=100,c=${COLUMNS},` : '';
      return `${ESC}_G${first}m=${index < pieces.length - 1 ? 1 : 0};${piece}${ESC}\\`;
    })
    .join('');
}

function terminal(): string {
  const { TERM_PROGRAM, TERM } = process.env;
  return TERM_PROGRAM ?? TERM ?? '';
}
