/** Colours of masks and their phrases, in order: those of the overlays that the service draws. */
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

export function colourOf(index: number): string {
  return PALETTE[index % PALETTE.length] ?? PALETTE[0];
}
