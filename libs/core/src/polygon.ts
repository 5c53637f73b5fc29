import { decodeMask, encodeMask, type RunLengthMask } from './mask.js';

/** Clockwise, so that a step's index + 1 is the turn to the right. The inside is always to the right of a step. */
const [RIGHT, DOWN, LEFT, UP] = [0, 1, 2, 3] as const;
const STEP_X = [1, 0, -1, 0] as const;
const STEP_Y = [0, 1, 0, -1] as const;

/**
 * The mask's outline as rings `[x0, y0, x1, y1, ...]` along the edges of pixels, each closed by its first point.
 * Filled by the even-odd rule they give exactly the mask: outer rings run clockwise, holes the other way round.
 */
export function maskToPolygon(mask: RunLengthMask): number[][] {
  const [height, width] = mask.size;
  const columns = width + 1;
  const edges = edgesOf(decodeMask(mask), height, width);
  const rings: number[][] = [];
  // Each ring has edges that run to the right, and the first that is met begins at a corner.
  edges.forEach((_, start) => {
    if (edges[start]! & (1 << RIGHT)) rings.push(traceRing(edges, columns, start));
  });
  return rings;
}

/** For each corner of the pixel grid, a bit for each direction in which the outline leaves it. */
function edgesOf(pixels: Uint8Array, height: number, width: number): Uint8Array {
  const columns = width + 1;
  const edges = new Uint8Array(columns * (height + 1));
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      const below = x < width && y < height ? pixels[y * width + x]! : 0;
      const above = x < width && y > 0 ? pixels[(y - 1) * width + x]! : 0;
      const before = x > 0 && y < height ? pixels[y * width + x - 1]! : 0;
      const corner = y * columns + x;
      if (below > above) edges[corner]! |= 1 << RIGHT;
      else if (above > below) edges[corner + 1]! |= 1 << LEFT;
      if (before > below) edges[corner]! |= 1 << DOWN;
      else if (below > before) edges[corner + columns]! |= 1 << UP;
    }
  }
  return edges;
}

/** Follows one ring from a corner and back, and takes its edges away. */
function traceRing(edges: Uint8Array, columns: number, start: number): number[] {
  const ring: number[] = [];
  let corner = start;
  let direction: number = RIGHT;
  let came: number | undefined;
  do {
    if (direction !== came) ring.push(corner % columns, Math.floor(corner / columns));
    corner += STEP_X[direction]! + STEP_Y[direction]! * columns;
    came = direction;
    direction = nextDirection(edges[corner]!, came);
    edges[corner]! &= ~(1 << direction);
  } while (corner !== start || direction !== RIGHT);
  return ring;
}

/** Where two pixels touch at a corner only, turning right keeps them apart. */
function nextDirection(open: number, came: number): number {
  const turns = [(came + 1) % 4, came, (came + 3) % 4];
  const next = turns.find((turn) => (open & (1 << turn)) !== 0);
  if (next === undefined) throw new Error('the outline of a mask is open');
  return next;
}

/**
 * The mask that rings `[x0, y0, x1, y1, ...]` in pixels enclose by the even-odd rule: a pixel is inside when its centre is.
 * The inverse of `maskToPolygon`.
 * @param size height, width
 */
export function polygonToMask(
  rings: readonly (readonly number[])[],
  [height, width]: RunLengthMask['size'],
): RunLengthMask {
  const crossings = Array.from({ length: width }, (): number[] => []);
  for (const ring of rings) {
    for (let i = 0; i + 1 < ring.length; i += 2) {
      const next = (i + 2) % ring.length;
      const [x0, y0, x1, y1] = [ring[i]!, ring[i + 1]!, ring[next]!, ring[next + 1]!];
      // Columns whose centre lies in the half-open range of the edge, so that a corner counts once.
      const first = Math.max(0, Math.ceil(Math.min(x0, x1) - 0.5));
      const last = Math.min(width, Math.ceil(Math.max(x0, x1) - 0.5));
      for (let x = first; x < last; x++) crossings[x]!.push(y0 + ((x + 0.5 - x0) * (y1 - y0)) / (x1 - x0));
    }
  }
  const pixels = new Uint8Array(height * width);
  crossings.forEach((ys, x) => {
    ys.sort((a, b) => a - b);
    for (let i = 0; i + 1 < ys.length; i += 2) {
      const last = Math.min(height, Math.ceil(ys[i + 1]! - 0.5));
      for (let y = Math.max(0, Math.ceil(ys[i]! - 0.5)); y < last; y++) pixels[y * width + x] = 1;
    }
  });
  return encodeMask(pixels, height, width);
}
