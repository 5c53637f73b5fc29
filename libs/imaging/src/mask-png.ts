import { promisify } from 'node:util';
import { crc32, deflate } from 'node:zlib';
import { decodeMask, type RunLengthMask } from '@segue/core';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const [ONE_BIT, GREYSCALE] = [1, 0];

/** A PNG with one bit a pixel, white inside the mask. sharp cannot write these without a palette. */
export async function maskToPng(mask: RunLengthMask): Promise<Buffer> {
  const [height, width] = mask.size;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([ONE_BIT, GREYSCALE], 8);
  const packed = await promisify(deflate)(packBits(decodeMask(mask), height, width));
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', packed), chunk('IEND', Buffer.alloc(0))]);
}

/** Rows of bits, the leftmost highest; each begins with a byte that says that the row is not filtered. */
function packBits(pixels: Uint8Array, height: number, width: number): Uint8Array {
  const stride = 1 + Math.ceil(width / 8);
  const rows = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x]) rows[y * stride + 1 + (x >> 3)]! |= 0x80 >> (x & 7);
    }
  }
  return rows;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}
