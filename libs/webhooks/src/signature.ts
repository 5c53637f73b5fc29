import { createHmac, timingSafeEqual } from 'node:crypto';

/*
 * Signatures as in Standard Webhooks (https://www.standardwebhooks.com), which libraries of many languages check.
 */

/** What was sent: the message's id, which stays the same when it is sent again, and when it was sent in seconds. */
export interface Message {
  readonly id: string;
  readonly atSeconds: number;
  readonly body: string;
}

/** @param secret base64, with or without `whsec_` before it. */
export function signedHeaders({ id, atSeconds, body }: Message, secret: string): Readonly<Record<string, string>> {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(atSeconds),
    'webhook-signature': `v1,${signatureOf({ id, atSeconds, body }, secret).toString('base64')}`,
  };
}

/** Whether a receiver may believe the message: any of the header's signatures is enough. */
export function isSigned(message: Message, header: string, secret: string): boolean {
  const wanted = signatureOf(message, secret);
  return header.split(' ').some((signature) => {
    const [version, digits = ''] = signature.split(',');
    const given = Buffer.from(digits, 'base64');
    return version === 'v1' && given.byteLength === wanted.byteLength && timingSafeEqual(given, wanted);
  });
}

function signatureOf({ id, atSeconds, body }: Message, secret: string): Buffer {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return createHmac('sha256', key).update(`${id}.${atSeconds}.${body}`).digest();
}
