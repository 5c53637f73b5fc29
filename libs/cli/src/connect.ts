import { SegueClient, type SegueClientOptions } from '@segue/client';

/** Where a service is, and who asks. */
export interface ServiceOptions {
  readonly url: string;
  readonly apiKey?: string;
}

export function connect(
  { url, apiKey }: ServiceOptions,
  options: Pick<SegueClientOptions, 'retries' | 'timeoutMs'> = {},
): SegueClient {
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  return new SegueClient({ baseUrl: url, headers, ...options });
}
