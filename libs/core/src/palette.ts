/** Colours of segments, in the order of their index and then from the beginning again. White text is readable on each. */
export const PALETTE = [
  '#d6274f',
  '#1473d2',
  '#14803c',
  '#b45309',
  '#8b3fd1',
  '#0f7c8a',
  '#c2268f',
  '#6b6a12',
] as const;

export function segmentColour(index: number): string {
  return PALETTE[index % PALETTE.length]!;
}
