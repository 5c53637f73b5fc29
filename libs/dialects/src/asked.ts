import { SegueError } from '@segue/core';

/** A question as another protocol brings it, in this project's terms. The service itself checks the rest. */
export interface Asked {
  readonly picture: AskedPicture;
  readonly instruction: string;
  readonly history?: readonly { readonly instruction: string; readonly answer: string }[];
  readonly model?: string;
  readonly maxTokens?: number;
}

/** The bytes of a picture, or the id of one that was stored. */
export type AskedPicture = { readonly bytes: Uint8Array } | { readonly imageId: string };

const DATA_URL = /^data:[^,]{0,200};base64,/i;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Bytes of base64, or of a data: URL. @param where names the value, for messages. @throws SegueError INVALID_ARGUMENT */
export function bytesOf(text: string, where: string): Uint8Array {
  const digits = text.replace(DATA_URL, '');
  if (BASE64.test(digits)) return Buffer.from(digits, 'base64');
  throw new SegueError('INVALID_ARGUMENT', `${where} must be a picture in base64, or a data: URL of it.`);
}
