import type { Graph, GraphValue } from '@segue/bundle';
import { fitsShape } from '@segue/tensors';
import type { Declared, GraphIo } from './protocol.js';

/** Where a loaded graph differs from what the manifest says of it; empty when they agree. */
export function differences({ inputs, outputs }: Pick<Graph, 'inputs' | 'outputs'>, actual: GraphIo): string[] {
  const surplus = actual.inputs.filter(({ name }) => !inputs.some((value) => value.name === name));
  return [
    ...inputs.flatMap((value) => difference('input', value, actual.inputs)),
    ...outputs.flatMap((value) => difference('output', value, actual.outputs)),
    ...surplus.map(({ name }) => `input "${name}" is in the graph but not in the manifest`),
  ];
}

function difference(side: string, wanted: GraphValue, declared: readonly Declared[]): string[] {
  const found = declared.find(({ name }) => name === wanted.name);
  if (!found) return [`${side} "${wanted.name}" is in the manifest but not in the graph`];
  if (found.dtype === wanted.dtype && shapesAgree(wanted.shape, found.shape)) return [];
  const [manifest, graph] = [wanted, found].map(({ dtype, shape }) => `${dtype}[${shape.join(', ')}]`);
  return [`${side} "${wanted.name}" is ${manifest} in the manifest and ${graph} in the graph`];
}

/** Symbolic dimensions agree with anything, and so does a graph without a shape. */
function shapesAgree(wanted: GraphValue['shape'], found: Declared['shape']): boolean {
  return found.length === 0 || fitsShape(found, wanted);
}
