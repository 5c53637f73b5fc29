import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Columns of ROMM RGB's matrix to XYZ at D50 (ISO 22028-2), and its gamma. */
const COLUMNS = {
  rXYZ: [0.7977, 0.288, 0],
  gXYZ: [0.1352, 0.7119, 0],
  bXYZ: [0.0313, 0.0001, 0.8249],
} as const;
const WHITE = [0.9642, 1, 0.8249] as const;
const GAMMA = 1.8;

/** A file with a profile of ProPhoto RGB's colours (ICC.1:2001), for sharp to write into pictures. */
export function prophoto(): string {
  const file = join(tmpdir(), `prophoto-${process.pid}.icc`);
  writeFileSync(file, profile());
  return file;
}

afterAll(() => rmSync(join(tmpdir(), `prophoto-${process.pid}.icc`), { force: true }));

function profile(): Buffer {
  const curve = Buffer.concat([Buffer.from('curv\0\0\0\0\0\0\0\x01', 'latin1'), fixed16(GAMMA), Buffer.alloc(2)]);
  const name = Buffer.concat([Buffer.from('desc\0\0\0\0\0\0\0\x05test\0', 'latin1'), Buffer.alloc(79)]);
  const tags: [string, Buffer][] = [
    ['desc', name],
    ['cprt', Buffer.from('text\0\0\0\0none\0\0\0\0', 'latin1')],
    ['wtpt', xyz(WHITE)],
    ...Object.entries(COLUMNS).map(([tag, column]): [string, Buffer] => [tag, xyz(column)]),
    ...['rTRC', 'gTRC', 'bTRC'].map((tag): [string, Buffer] => [tag, curve]),
  ];
  const table = Buffer.alloc(4 + 12 * tags.length);
  table.writeUInt32BE(tags.length);
  let at = 128 + table.length;
  tags.forEach(([tag, data], index) => {
    table.write(tag, 4 + 12 * index, 'latin1');
    table.writeUInt32BE(at, 8 + 12 * index);
    table.writeUInt32BE(data.length, 12 + 12 * index);
    at += data.length;
  });
  const header = Buffer.alloc(128);
  header.writeUInt32BE(at);
  header.set([2, 32], 8);
  header.write('mntrRGB XYZ ', 12, 'latin1');
  header.write('acsp', 36, 'latin1');
  header.set(xyz(WHITE).subarray(8), 68);
  return Buffer.concat([header, table, ...tags.map(([, data]) => data)]);
}

function xyz(values: readonly number[]): Buffer {
  const data = Buffer.alloc(20);
  data.write('XYZ ', 'latin1');
  values.forEach((value, index) => data.writeInt32BE(Math.round(value * 65536), 8 + 4 * index));
  return data;
}

function fixed16(value: number): Buffer {
  const data = Buffer.alloc(2);
  data.writeUInt16BE(Math.round(value * 256));
  return data;
}
