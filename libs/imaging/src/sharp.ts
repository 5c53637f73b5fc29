import sharp from 'sharp';

// One thread a picture: sharp works on up to four pictures at once by itself, and the other cores are for inference.
sharp.concurrency(1);
// Nothing is asked for twice; what sharp would keep is memory lost to models.
sharp.cache(false);
// libvips reads many formats that nobody should send; their decoders are not to be reached at all.
sharp.block({ operation: ['VipsForeignLoad'] });

/** Decoder of each format that a picture may be sent in. */
const LOADERS = {
  jpeg: 'VipsForeignLoadJpeg',
  png: 'VipsForeignLoadPng',
  webp: 'VipsForeignLoadWebp',
  gif: 'VipsForeignLoadNsgif',
  tiff: 'VipsForeignLoadTiff',
  avif: 'VipsForeignLoadHeif',
} as const;

export type PictureFormat = keyof typeof LOADERS;

/** What cameras, browsers and phones' galleries write; the decoders of the others are reached only where a setting names them. */
export const USUAL_FORMATS: readonly PictureFormat[] = ['jpeg', 'png', 'webp'];

/** Lets this process decode further formats. */
export function unblock(formats: readonly PictureFormat[]): void {
  sharp.unblock({ operation: formats.map((format) => LOADERS[format]) });
}

unblock(USUAL_FORMATS);

export { sharp };
