import type { PictureFormat } from './sharp.js';

const JPEG_START_OF_SCAN = 0xda;
const JPEG_END = Buffer.from([0xff, 0xd9]);
const PNG_END = Buffer.from('IEND', 'latin1');

/**
 * Whether a file has its end, found without decoding: what was cut short on its way is refused before it costs anything.
 * A file that is broken in its middle is found by decoding it.
 */
export function hasEnd(bytes: Uint8Array, format: PictureFormat): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (format) {
    case 'jpeg': {
      const scan = startOfScan(file);
      // Inside a scan every 0xff is followed by 0x00 or a restart marker; cameras may append more after the end.
      return scan !== undefined && file.includes(JPEG_END, scan);
    }
    case 'png':
      return file.includes(PNG_END);
    case 'webp':
      return file.length >= 12 && file.length >= file.readUInt32LE(4) + 8;
    case 'gif':
    case 'tiff':
    case 'avif':
      return true; // only decoding tells
  }
}

/** Walks the segments before the picture's data: an embedded thumbnail has an end marker of its own. */
function startOfScan(file: Buffer): number | undefined {
  for (let at = 2; at + 4 <= file.length; at += 2 + file.readUInt16BE(at + 2)) {
    // Stray bytes before a marker and fill bytes, both of which decoders skip.
    while (at < file.length && (file[at] !== 0xff || file[at + 1] === 0xff)) at++;
    if (at + 4 > file.length) return undefined;
    if (file[at + 1] === JPEG_START_OF_SCAN) return at;
  }
  return undefined;
}
