import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { checkTarget, guardedLookup, type TargetRules } from './target.js';

export interface PostOptions extends TargetRules {
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Sends a body and waits for the answer's status; redirects are not followed. What may be called is checked again, since
 * the rules may have changed, and names point elsewhere from one moment to the next.
 * @returns the status. @throws Error when there is none within the time.
 */
export async function post(
  address: string,
  body: string,
  { timeoutMs, headers, ...rules }: PostOptions,
): Promise<number> {
  const url = checkTarget(address, rules);
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  const length = Buffer.byteLength(body);
  return new Promise((resolve, reject) => {
    const request = send(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'content-length': length },
      lookup: guardedLookup(rules),
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
    });
    request.once('response', (response) => {
      // The answer's body says nothing here.
      response.destroy();
      resolve(response.statusCode ?? 0);
    });
    request.once('error', reject);
    request.end(body);
  });
}
