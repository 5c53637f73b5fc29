import Negotiator from 'negotiator';

/**
 * The type of content that a client likes best (RFC 9110, section 12.5.1), by weight, then by order.
 * @param types what there is, the usual one first: it is the answer to clients who like all the same, or none.
 */
export function prefer<const T extends string>(accept: string | undefined, types: readonly [T, ...T[]]): T {
  const [best] = new Negotiator({ headers: { accept: accept ?? '*/*' } }).mediaTypes([...types]);
  return types.find((type) => type === best) ?? types[0];
}
