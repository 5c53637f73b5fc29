import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { columnsOf, protocolOf } from './preview.js';

const PHOTO = new URL('../../../examples/coffee.jpg', import.meta.url);
const overlay = async () => {
  const { renderOverlay } = await import('@segue/imaging');
  return renderOverlay(await readFile(PHOTO), [], { text: 'It is the cup.', largest: 500 });
};

/** Pieces of a sequence: what each says of itself, and its bytes. */
function pieces(written: string, form: RegExp): { about: string; data: Buffer }[] {
  return [...written.matchAll(form)].map(([, about = '', data = '']) => ({ about, data: Buffer.from(data, 'base64') }));
}

it('gives kitty and Ghostty the picture in pieces that they take', async () => {
  const png = await overlay();
  for (const name of ['xterm-kitty', 'ghostty']) {
    const written = protocolOf(name)!(png, 40);
    const found = pieces(written, /\u001b_G([^;]*);([^\u001b]{1,4096})\u001b\\/g);
    expect(Buffer.concat(found.map(({ data }) => data)).equals(png)).toBe(true);
    expect(found[0]!.about).toBe('a=T,f=100,q=2,c=40,m=1');
    expect(found.slice(1).map(({ about }) => about)).toEqual([...found.slice(2).map(() => 'm=1'), 'm=0']);
  }
});

it('gives iTerm2 and WezTerm the picture at once', async () => {
  const png = await overlay();
  for (const name of ['iTerm.app', 'WezTerm']) {
    const found = pieces(protocolOf(name)!(png, 40), /^\u001b\]1337;File=([^:]*):([^\u0007]*)\u0007$/g);
    expect(found[0]!.about).toContain('inline=1;width=40;preserveAspectRatio=1');
    expect(found[0]!.data.equals(png)).toBe(true);
  }
});

it('shows nothing where pictures are not known', () => {
  for (const name of ['xterm-256color', 'tmux', 'Apple_Terminal', '']) expect(protocolOf(name)).toBeUndefined();
});

it('keeps the whole picture on the screen', async () => {
  const png = await overlay();
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  expect(width).toBe(500);
  expect(columnsOf(png, { columns: 120, rows: 60 })).toBe(60);
  expect(columnsOf(png, { columns: 40, rows: 60 })).toBe(40);
  const columns = columnsOf(png, { columns: 120, rows: 15 });
  expect((columns * height) / width / 2).toBeLessThanOrEqual(12);
  expect(((columns + 1) * height) / width / 2).toBeGreaterThan(12);
});
