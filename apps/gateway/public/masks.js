/** Longest side of a painted mask in pixels; the browser scales it to the picture. */
const MAX_SIDE = 1600;

const INSIDE_ALPHA = 110;
const OUTLINE_ALPHA = 255;

/**
 * Reads COCO's compressed run-length encoding: 5 bits a character, differences to the run two before from the third on,
 * columns first.
 * @returns {Uint8Array} row-major, 1 inside
 */
export function decodeMask({ size: [height, width], counts }) {
  const pixels = new Uint8Array(height * width);
  const runs = [];
  let position = 0;
  for (let i = 0; i < counts.length;) {
    let run = 0;
    let shift = 0;
    let group;
    do {
      group = counts.charCodeAt(i++) - 48;
      run += (group & 0x1f) * 2 ** shift;
      shift += 5;
    } while (group & 0x20);
    if (group & 0x10) run -= 2 ** shift;
    if (runs.length > 2) run += runs[runs.length - 2];
    if (runs.length % 2 === 1) {
      for (let p = position; p < position + run; p++) pixels[(p % height) * width + Math.floor(p / height)] = 1;
    }
    position += run;
    runs.push(run);
  }
  return pixels;
}

/** Paints a mask in a colour (#rrggbb), its outline opaque. */
export function paintMask(mask, colour) {
  const [red, green, blue] = colour.match(/[0-9a-f]{2}/g).map((digits) => parseInt(digits, 16));
  const pixels = decodeMask(mask);
  const [height, width] = mask.size;
  const scale = Math.min(1, MAX_SIDE / Math.max(height, width));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const inside = (x, y) => {
    const column = Math.floor(((x + 0.5) * width) / canvas.width);
    const row = Math.floor(((y + 0.5) * height) / canvas.height);
    return column >= 0 && column < width && row >= 0 && row < height && pixels[row * width + column] === 1;
  };
  const context = canvas.getContext('2d');
  const image = context.createImageData(canvas.width, canvas.height);
  for (let y = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++) {
      if (!inside(x, y)) continue;
      const within = inside(x - 2, y) && inside(x + 2, y) && inside(x, y - 2) && inside(x, y + 2);
      image.data.set([red, green, blue, within ? INSIDE_ALPHA : OUTLINE_ALPHA], 4 * (y * canvas.width + x));
    }
  }
  context.putImageData(image, 0, 0);
  /** Whether a point (0..1 of width and height) lies in the mask. */
  const contains = (x, y) => inside(Math.floor(x * canvas.width), Math.floor(y * canvas.height));
  return { canvas, contains };
}
