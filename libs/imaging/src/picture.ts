import type { Metadata } from 'sharp';
import { SegueError } from '@segue/core';
import { hasEnd } from './completeness.js';
import { sharp } from './sharp.js';

const FORMATS = ['jpeg', 'png', 'webp'] as const;

export type PictureFormat = (typeof FORMATS)[number];

/** `uint8[height, width, 3]`: red, green, blue. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface PictureLimits {
  readonly maxBytes: number;
  readonly maxPixels: number;
}

export const DEFAULT_PICTURE_LIMITS: PictureLimits = { maxBytes: 25 * 1024 * 1024, maxPixels: 50_000_000 };

export interface PictureInfo {
  readonly format: PictureFormat;
  /** As shown, that is after the rotation that EXIF asks for. */
  readonly width: number;
  readonly height: number;
}

/**
 * Reads a picture's header and looks for its end, and nothing more.
 * @throws SegueError INVALID_ARGUMENT, reason TOO_LARGE or NOT_A_PICTURE; without one for a picture that is cut short.
 */
export async function inspectPicture(bytes: Uint8Array, { maxBytes, maxPixels }: PictureLimits): Promise<PictureInfo> {
  if (bytes.byteLength > maxBytes) {
    throw new SegueError(
      'INVALID_ARGUMENT',
      `The picture has ${bytes.byteLength} bytes; send one of at most ${maxBytes}.`,
      {
        reason: 'TOO_LARGE',
      },
    );
  }
  const metadata = await readHeader(bytes);
  const format = FORMATS.find((name) => name === metadata.format);
  if (!format) throw notAPicture();
  if ((metadata.pages ?? 1) > 1) throw notAPicture('The picture is an animation; send a single frame.');
  if (!hasEnd(bytes, format)) throw cutShort();
  const { width, height } = metadata.autoOrient;
  if (width * height > maxPixels) {
    throw new SegueError(
      'INVALID_ARGUMENT',
      `The picture has ${width} x ${height} pixels; send one of at most ${maxPixels} in all.`,
      {
        reason: 'TOO_LARGE',
      },
    );
  }
  return { format, width, height };
}

/** Media type of a picture that has been inspected, by its first bytes. */
export function pictureType(bytes: Uint8Array): `image/${PictureFormat}` {
  if (bytes[0] === 0xff) return 'image/jpeg';
  return bytes[0] === 0x89 ? 'image/png' : 'image/webp';
}

/**
 * Decodes to what models are fed in training: turned as EXIF says, alpha dropped, colour profile ignored, 8 bits.
 * @throws SegueError as `inspectPicture`, and INVALID_ARGUMENT for data that is cut short or broken.
 */
export async function decodePicture(bytes: Uint8Array, limits: PictureLimits): Promise<RgbImage> {
  await inspectPicture(bytes, limits);
  try {
    const picture = sharp(bytes, { limitInputPixels: limits.maxPixels, failOn: 'error', ignoreIcc: true });
    const pixels = picture.autoOrient().removeAlpha().toColourspace('srgb').raw({ depth: 'uchar' });
    const { data, info } = await pixels.toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data };
  } catch (cause) {
    throw cutShort(cause);
  }
}

function cutShort(cause?: unknown): SegueError {
  return new SegueError('INVALID_ARGUMENT', 'The picture is cut short or broken; send it again.', { cause });
}

async function readHeader(bytes: Uint8Array): Promise<Metadata> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (cause) {
    throw notAPicture(undefined, cause);
  }
}

function notAPicture(
  message = 'This cannot be read as a picture; send a whole JPEG, PNG or WebP file.',
  cause?: unknown,
): SegueError {
  return new SegueError('INVALID_ARGUMENT', message, { reason: 'NOT_A_PICTURE', cause });
}
