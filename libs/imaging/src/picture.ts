import type { Metadata } from 'sharp';
import { SegueError } from '@segue/core';
import type { RgbImage } from '@segue/stages';
import { hasEnd } from './completeness.js';
import { nameOfKind } from './other-kinds.js';
import { sharp, unblock, USUAL_FORMATS, type PictureFormat } from './sharp.js';

export type { PictureFormat, RgbImage };

export interface PictureLimits {
  readonly maxBytes: number;
  readonly maxPixels: number;
  /** Formats that are decoded; JPEG, PNG and WebP unless given. */
  readonly formats?: readonly PictureFormat[];
}

/** 8192 x 6144: what a phone's camera of 50 megapixels writes. */
export const DEFAULT_PICTURE_LIMITS: PictureLimits = { maxBytes: 25 * 1024 * 1024, maxPixels: 8192 * 6144 };

/** Longest side in pixels, and how many times longer than the other it may be: resizing a strip takes memory by its ratio, not by its pixels. */
const [MAX_SIDE, MAX_RATIO] = [32_768, 100];

export interface PictureInfo {
  readonly format: PictureFormat;
  /** As shown, that is after the rotation that EXIF asks for. */
  readonly width: number;
  readonly height: number;
}

/**
 * Reads a picture's header and looks for its end, and nothing more. Of an animation the first frame counts.
 * @throws SegueError INVALID_ARGUMENT, reason TOO_LARGE or NOT_A_PICTURE; without one for a picture that is cut short.
 */
export async function inspectPicture(bytes: Uint8Array, limits: PictureLimits): Promise<PictureInfo> {
  const { maxBytes, maxPixels, formats = USUAL_FORMATS } = limits;
  if (bytes.byteLength > maxBytes) {
    throw tooLarge(`The picture has ${bytes.byteLength} bytes; send one of at most ${maxBytes}.`);
  }
  unblock(formats);
  const metadata = await readHeader(bytes, formats);
  const format = formats.find((name) => name === formatOf(metadata));
  if (!format) throw notAPicture(bytes, formats);
  if (!hasEnd(bytes, format)) throw cutShort();
  const { width, height } = metadata.autoOrient;
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  const size = `The picture has ${width} x ${height} pixels`;
  if (width * height > maxPixels) throw tooLarge(`${size}; send one of at most ${maxPixels} in all.`);
  if (longer > MAX_SIDE) throw tooLarge(`${size}; send one with at most ${MAX_SIDE} on a side.`);
  if (longer > shorter * MAX_RATIO) {
    throw new SegueError('INVALID_ARGUMENT', `${size}; send one whose sides differ by ${MAX_RATIO} times at most.`);
  }
  return { format, width, height };
}

/** A TIFF begins with the order of its bytes, II or MM; of an AVIF the first byte tells nothing, as it begins with a length. */
const FIRST_BYTES: Readonly<Record<number, PictureFormat>> = {
  0xff: 'jpeg',
  0x89: 'png',
  0x52: 'webp',
  0x47: 'gif',
  0x49: 'tiff',
  0x4d: 'tiff',
};

/** Media type of a picture that has been inspected. */
export function pictureType(bytes: Uint8Array): `image/${PictureFormat}` {
  return `image/${FIRST_BYTES[bytes[0] ?? 0] ?? 'avif'}`;
}

/**
 * Decodes to what a browser shows on a white page: turned as EXIF says, colours in sRGB, alpha flattened on white, 8 bits.
 * @throws SegueError as `inspectPicture`, and INVALID_ARGUMENT for data that is cut short or broken.
 */
export async function decodePicture(bytes: Uint8Array, limits: PictureLimits): Promise<RgbImage> {
  const { format } = await inspectPicture(bytes, limits);
  try {
    return await decode(bytes, limits, format === 'jpeg' ? 'warning' : 'error');
  } catch (cause) {
    if (format !== 'jpeg' || isPrematureEnd(cause)) throw cutShort(cause);
  }
  // The warning was a harmless one, such as of stray bytes between two parts.
  return decode(bytes, limits, 'error').catch((cause: unknown) => Promise.reject(cutShort(cause)));
}

async function decode(bytes: Uint8Array, { maxPixels }: PictureLimits, failOn: 'warning' | 'error'): Promise<RgbImage> {
  const picture = sharp(bytes, { limitInputPixels: maxPixels, failOn });
  const shown = picture.autoOrient().flatten({ background: 'white' }).removeAlpha().toColourspace('srgb');
  const { data, info } = await shown.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

/** libjpeg only warns where a file was closed with an end marker after its second half was lost. */
function isPrematureEnd(error: unknown): boolean {
  return error instanceof Error && /premature end/i.test(error.message);
}

/** AVIF and HEIC share a container. */
function formatOf({ format, compression }: Metadata): string {
  return format === 'heif' && compression === 'av1' ? 'avif' : format;
}

async function readHeader(bytes: Uint8Array, formats: readonly PictureFormat[]): Promise<Metadata> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (cause) {
    throw notAPicture(bytes, formats, cause);
  }
}

function cutShort(cause?: unknown): SegueError {
  return new SegueError('INVALID_ARGUMENT', 'The picture is cut short or broken; send it again.', { cause });
}

function tooLarge(message: string): SegueError {
  return new SegueError('INVALID_ARGUMENT', message, { reason: 'TOO_LARGE' });
}

const NAMES: Readonly<Record<PictureFormat, string>> = {
  jpeg: 'JPEG',
  png: 'PNG',
  webp: 'WebP',
  gif: 'GIF',
  tiff: 'TIFF',
  avif: 'AVIF',
};

function notAPicture(bytes: Uint8Array, formats: readonly PictureFormat[], cause?: unknown): SegueError {
  const accepted = formats.map((format) => NAMES[format]);
  const names = new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(accepted);
  const kind = nameOfKind(bytes);
  const what =
    kind && !accepted.includes(kind) ? `${kind} files are not taken here` : 'This cannot be read as a picture';
  return new SegueError('INVALID_ARGUMENT', `${what}; send a whole ${names} file.`, {
    reason: 'NOT_A_PICTURE',
    cause,
  });
}
