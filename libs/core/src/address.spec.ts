import { expect, it } from 'vitest';
import { hostPort } from './address.js';

it.each([
  ['localhost', 'localhost:80'],
  ['10.0.0.1', '10.0.0.1:80'],
  ['::', '[::]:80'],
  ['fe80::1%eth0', '[fe80::1%eth0]:80'],
])('the address of %s', (host, address) => expect(hostPort(host, 80)).toBe(address));
