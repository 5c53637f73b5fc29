/** Files that people send for pictures, by their first bytes in Latin-1 and where those stand. */
const SIGNATURES: readonly (readonly [name: string, at: number, bytes: string])[] = [
  ['GIF', 0, 'GIF8'],
  ['TIFF', 0, 'II*\0'],
  ['TIFF', 0, 'MM\0*'],
  ['AVIF', 4, 'ftypavif'],
  ['AVIF', 4, 'ftypavis'],
  ['HEIC', 4, 'ftyphei'],
  ['HEIC', 4, 'ftyphev'],
  ['HEIF', 4, 'ftypmif1'],
  ['BMP', 0, 'BM'],
  ['JPEG XL', 0, '\xff\x0a'],
  ['JPEG XL', 4, 'JXL \r\n\x87\n'],
  ['JPEG 2000', 0, '\xff\x4f\xff\x51'],
  ['JPEG 2000', 4, 'jP  \r\n\x87\n'],
  ['PDF', 0, '%PDF-'],
  ['SVG', 0, '<svg'],
];

/** What a file is that cannot be read here, where its beginning tells. */
export function nameOfKind(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, 16)).toString('latin1');
  return SIGNATURES.find(([, at, signature]) => start.startsWith(signature, at))?.[0];
}
