import { expect, it } from 'vitest';
import { hasExactProducts } from './exact-products.js';

it.each([
  ['arm64', '', true],
  ['x64', 'flags : avx2 avx512f avx512_vnni amx_int8', true],
  ['x64', 'flags : avx2 avx_vnni', true],
  ['x64', 'flags : avx2 fma', false],
])('knows whether %s with "%s" multiplies exactly: %s', (arch, flags, exact) => {
  expect(hasExactProducts(arch, () => flags)).toBe(exact);
});

it('takes the way that is right everywhere where nothing is known', () => {
  const unreadable = (): string => {
    throw new Error('ENOENT');
  };
  expect(hasExactProducts('x64', unreadable)).toBe(false);
});
