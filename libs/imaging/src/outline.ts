import { maskToPolygon, type RunLengthMask } from '@segue/core';
import simplify from 'simplify-js';
import { joinHoles, type Point, type Ring } from './outline-holes.js';

export interface OutlineOptions {
  /** How far in pixels the outline may run beside the mask's (Ramer, Douglas and Peucker); 0 follows every pixel's edge. */
  readonly tolerance?: number;
}

/**
 * The mask's outline as rings `[x0, y0, x1, y1, ...]` for people to edit and for COCO, which knows no inner rings: a hole is
 * joined to the ring around it by a line there and back, so that each ring can be filled by itself, and the even-odd rule
 * gives the same. With tolerance 0 that is exactly the mask.
 */
export function maskToOutline(mask: RunLengthMask, { tolerance = 0 }: OutlineOptions = {}): number[][] {
  const exact = maskToPolygon(mask).map(pointsOf);
  const rings = tolerance > 0 ? exact.map((ring) => simplifyRing(ring, tolerance)) : exact;
  return joinHoles(rings.filter((ring) => ring.length > 2)).map((ring) => ring.flatMap(({ x, y }) => [x, y]));
}

function pointsOf(ring: readonly number[]): Point[] {
  return Array.from({ length: ring.length / 2 }, (_, index) => ({ x: ring[2 * index]!, y: ring[2 * index + 1]! }));
}

/** simplify-js keeps the ends of a line: a ring is two, from its first point to the one that is farthest from it and back. */
function simplifyRing(ring: Ring, tolerance: number): Ring {
  const [first] = ring;
  if (!first) return ring;
  const distance = ({ x, y }: Point): number => (x - first.x) ** 2 + (y - first.y) ** 2;
  const far = ring.reduce((best, point, index) => (distance(point) > distance(ring[best]!) ? index : best), 0);
  const lines = [ring.slice(0, far + 1), [...ring.slice(far), first]];
  return lines.flatMap((line) => simplify(line, tolerance, true).slice(0, -1));
}
