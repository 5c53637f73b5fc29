import { Problem, storePicture } from '../service/service.js';

/** What the service reads. */
export const PICTURE_TYPES = ['image/jpeg', 'image/png', 'image/webp'];

/** A picture that the browser can show. */
export class Picture {
  imageId: string | undefined;

  private constructor(
    readonly blob: Blob,
    readonly name: string,
    readonly url: string,
    readonly width: number,
    readonly height: number,
  ) {}

  /** @throws Problem when the file is no picture that the service reads. */
  static async open(blob: Blob, name = 'picture'): Promise<Picture> {
    const refusal = new Problem(`“${name}” cannot be read as a picture. Choose a JPEG, PNG or WebP file.`);
    const typed = new Blob([blob], { type: await typeOf(blob) });
    if (!PICTURE_TYPES.includes(typed.type)) throw refusal;
    const url = URL.createObjectURL(typed);
    const image = new Image();
    image.src = url;
    try {
      await image.decode();
    } catch {
      URL.revokeObjectURL(url);
      throw refusal;
    }
    return new Picture(typed, name, url, image.naturalWidth, image.naturalHeight);
  }

  /**
   * Sends it ahead of the first question, while that is being typed.
   * @throws Problem when the service refuses it; one that cannot be reached says so when it is asked.
   */
  async store(): Promise<void> {
    try {
      this.imageId = await storePicture(this.blob);
    } catch (error) {
      if (error instanceof Problem && [400, 413, 415].includes(error.status)) throw error;
    }
  }

  close(): void {
    URL.revokeObjectURL(this.url);
  }
}

/** Media type by the first bytes: a file's name may say anything. */
async function typeOf(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.slice(0, 12).arrayBuffer());
  const text = String.fromCharCode(...bytes);
  if (text.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (text.startsWith('\x89PNG')) return 'image/png';
  if (text.startsWith('RIFF') && text.endsWith('WEBP')) return 'image/webp';
  return '';
}
