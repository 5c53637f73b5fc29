import sharp from 'sharp';

/** A picture file that is the same for the same arguments and another for another seed: coloured discs on a gradient. */
export function samplePicture(
  seed: number,
  width = 96,
  height = 64,
  format: 'jpeg' | 'png' | 'webp' = 'jpeg',
): Promise<Buffer> {
  const random = generator(seed);
  const discs = Array.from({ length: 5 }, () => ({
    x: random() * width,
    y: random() * height,
    radius: (0.1 + 0.2 * random()) * Math.min(width, height),
    colour: [random(), random(), random()].map((share) => Math.floor(share * 256)),
  }));
  const tint = Math.floor(random() * 256);
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const disc = discs.find((candidate) => Math.hypot(x - candidate.x, y - candidate.y) < candidate.radius);
      const gradient = [(x / width) * 255, (y / height) * 255, tint];
      pixels.set(disc?.colour ?? gradient, (y * width + x) * 3);
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .toFormat(format)
    .toBuffer();
}

/** Numbers in 0..1 from a seed (a linear congruential generator). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
