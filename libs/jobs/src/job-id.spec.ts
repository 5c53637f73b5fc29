import { assert, property, record, string } from 'fast-check';
import { expect, it } from 'vitest';
import { idempotencyDigest, isJobId, newJobId, requestDigest } from './job-id.js';
import { request } from './jobs.fixture.js';

it('takes its own ids and nothing else for ids', () => {
  for (let times = 0; times < 100; times++) expect(isJobId(newJobId())).toBe(true);
  assert(
    property(
      string({ unit: 'binary' }),
      (text) => isJobId(text) === /^[0-9a-f]{32}$/.test(text) && !text.includes(':'),
    ),
  );
  const id = newJobId();
  for (const other of [`${id}\n`, ` ${id}`, id.toUpperCase().replace(/^/, 'A'), id.slice(1)])
    expect(isJobId(other)).toBe(false);
});

it('no two tenants and keys are remembered by the same digest', () => {
  const pair = record({ tenant: string(), key: string() });
  assert(
    property(pair, pair, (a, b) => {
      const same = a.tenant === b.tenant && a.key === b.key;
      expect(idempotencyDigest(a.tenant, a.key) === idempotencyDigest(b.tenant, b.key)).toBe(same);
    }),
  );
});

it('requests that differ in their words have different digests', () => {
  assert(
    property(string(), string(), (a, b) => {
      const digest = (instruction: string) => requestDigest(request({ instruction }));
      expect(digest(a) === digest(b)).toBe(a === b);
    }),
  );
});
