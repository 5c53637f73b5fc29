import sharp from 'sharp';

// One thread a picture: sharp works on up to four pictures at once by itself, and the other cores are for inference.
sharp.concurrency(1);
// Nothing is asked for twice; what sharp would keep is memory lost to models.
sharp.cache(false);
// libvips reads many formats that nobody should send; their decoders are not to be reached at all.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['VipsForeignLoadJpeg', 'VipsForeignLoadPng', 'VipsForeignLoadWebp'] });

export { sharp };
