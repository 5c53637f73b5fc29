export interface Point {
  readonly x: number;
  readonly y: number;
}

export type Ring = readonly Point[];

/**
 * Joins every hole to the ring around it: from the hole's leftmost point a line runs left to the first edge that it
 * meets, and back. From left to right, so that an edge of a hole that is joined already counts as one of that ring.
 * @param rings outer rings clockwise (y down), holes the other way round; no two of them cross.
 */
export function joinHoles(rings: readonly Ring[]): Ring[] {
  const outer = rings.filter((ring) => signedArea(ring) > 0).map((ring) => [...ring]);
  const holes = rings.filter((ring) => signedArea(ring) < 0).map(fromLeftmost);
  holes.sort((a, b) => a[0]!.x - b[0]!.x);
  for (const hole of holes) {
    const [from] = hole;
    const hit = from && firstEdgeToTheLeft(outer, from);
    // Simplifying may have moved a hole out of its ring; by the even-odd rule it is still one.
    if (!hit) outer.push(hole);
    else hit.ring.splice(hit.after + 1, 0, hit.at, ...hole, from, hit.at);
  }
  return outer;
}

/** Twice the area; positive for a ring that runs clockwise on a screen. */
export function signedArea(ring: Ring): number {
  return ring.reduce((sum, { x, y }, index) => {
    const next = ring[(index + 1) % ring.length]!;
    return sum + x * next.y - next.x * y;
  }, 0);
}

/** The ring from its leftmost point on, of several the topmost. */
function fromLeftmost(ring: Ring): Point[] {
  const isBefore = (a: Point, b: Point): boolean => a.x < b.x || (a.x === b.x && a.y < b.y);
  const first = ring.reduce((best, point, index) => (isBefore(point, ring[best]!) ? index : best), 0);
  return [...ring.slice(first), ...ring.slice(0, first)];
}

interface Hit {
  readonly ring: Point[];
  /** Index of the point at which the edge begins. */
  readonly after: number;
  readonly at: Point;
}

function firstEdgeToTheLeft(rings: readonly Point[][], { x, y }: Point): Hit | undefined {
  let nearest: Hit | undefined;
  for (const ring of rings) {
    ring.forEach((a, after) => {
      const b = ring[(after + 1) % ring.length]!;
      if (a.y <= y === b.y <= y) return;
      const at = { x: a.x + ((y - a.y) * (b.x - a.x)) / (b.y - a.y), y };
      if (at.x <= x && at.x > (nearest?.at.x ?? -Infinity)) nearest = { ring, after, at };
    });
  }
  return nearest;
}
