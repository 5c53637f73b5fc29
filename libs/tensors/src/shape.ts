/** A shape as a graph declares it; a name stands for any size. */
export type DeclaredShape = readonly (number | string)[];

/** Whether two shapes can be of one tensor: as many dimensions, and equal sizes where both say one. */
export function fitsShape(shape: DeclaredShape, declared: DeclaredShape): boolean {
  return (
    shape.length === declared.length &&
    declared.every((dim, index) => typeof dim === 'string' || typeof shape[index] === 'string' || dim === shape[index])
  );
}
