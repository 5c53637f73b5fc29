import { SegueError, type Tenant } from '@segue/core';
import type { Jobs } from '@segue/jobs';
import type { Pictures } from '@segue/pictures';
import type { Body } from '../http/schemas.js';

type UsageBody = Body<'Usage'>;
type Counts = Omit<UsageBody, 'from' | 'to' | 'picture_bytes'>;

/** Days (UTC) as `YYYY-MM-DD`. */
export interface Period {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** Tells what tenants have used. */
export class UsageReader {
  readonly #usage: Jobs['usage'];
  readonly #pictures: Pick<Pictures, 'storedBytes'>;

  constructor(usage: Jobs['usage'], pictures: Pick<Pictures, 'storedBytes'>) {
    this.#usage = usage;
    this.#pictures = pictures;
  }

  /** @throws SegueError INVALID_ARGUMENT for days in the wrong order. */
  async of(tenant: Tenant, period: Period): Promise<UsageBody> {
    const { from, to, ...days } = await this.#daysOf(period);
    const [usage, bytes] = await Promise.all([this.#usage.of(tenant.name, days), this.#pictures.storedBytes(tenant)]);
    return { from, to, ...toCounts(usage), ...(bytes !== undefined && { picture_bytes: bytes }) };
  }

  /** @throws SegueError INVALID_ARGUMENT for days in the wrong order. */
  async all(period: Period): Promise<{ from: string; to: string; tenants: ({ readonly tenant: string } & Counts)[] }> {
    const { from, to, ...days } = await this.#daysOf(period);
    const all = await this.#usage.all(days);
    return { from, to, tenants: [...all].map(([tenant, usage]) => ({ tenant, ...toCounts(usage) })) };
  }

  async #daysOf({ from: first, to: last }: Period) {
    const to = last ?? (await this.#usage.today());
    const from = first ?? `${to.slice(0, 7)}-01`;
    if (from > to) throw new SegueError('INVALID_ARGUMENT', '"from" is after "to". Give the first day and the last.');
    return { from, to, fromMs: Date.parse(from), toMs: Date.parse(to) };
  }
}

function toCounts({ completed, failed, cancelled, ...rest }: Awaited<ReturnType<Jobs['usage']['of']>>): Counts {
  return { jobs: completed + failed + cancelled, answers: completed, failed, cancelled, ...rest };
}
