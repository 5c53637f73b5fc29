import type { Tensor } from '@segue/tensors';

/** Tensors of one picture, by their names in the manifest. */
export type TensorSet = Readonly<Record<string, Tensor>>;

/** Where the tensors of an encoded picture are. */
export interface TensorSetRef {
  /** `<bundle digest>/<imageId>` */
  readonly key: string;
  /** Address of the worker that holds them, `host:port`. */
  readonly owner: string;
  /** Whether they were there already, so that nothing was computed. */
  readonly cached: boolean;
}

/** Key of the tensors that a bundle makes of a picture. */
export function tensorSetKey(bundle: { readonly digest: string }, imageId: string): string {
  return `${bundle.digest}/${imageId}`;
}

/** Digest of the bundle that a picture was encoded with. */
export function digestOf({ key }: Pick<TensorSetRef, 'key'>): string {
  return key.slice(0, key.indexOf('/'));
}
