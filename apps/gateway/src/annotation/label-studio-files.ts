import { SegueError } from '@segue/core';
import { bytesOf } from '@segue/dialects';
import type { GatewayConfig } from '../config.js';

const FETCH_TIMEOUT_MS = 20_000;

export type LabelStudioConfig = Pick<GatewayConfig, 'labelStudioUrl' | 'labelStudioToken' | 'maxPictureBytes'>;

/** Pictures of tasks: from the one Label Studio that the operator named, and from nowhere else. */
export class LabelStudioFiles {
  readonly #config: LabelStudioConfig;

  constructor(config: LabelStudioConfig) {
    this.#config = config;
  }

  /** @param where a path of Label Studio, an address there, or a data: URL. @throws SegueError */
  async get(where: unknown): Promise<Uint8Array> {
    if (typeof where !== 'string' || where === '') throw refused('The task has no picture.');
    if (where.startsWith('data:')) return bytesOf(where, "The task's picture");
    const { labelStudioUrl } = this.#config;
    if (labelStudioUrl === '')
      throw refused('Pictures are fetched where SEGUE_LABEL_STUDIO_URL says, which is not set.');
    const url = URL.canParse(where, labelStudioUrl) ? new URL(where, labelStudioUrl) : undefined;
    if (url?.origin !== new URL(labelStudioUrl).origin) {
      throw refused(
        'The picture is not at the Label Studio that SEGUE_LABEL_STUDIO_URL names; no other place is asked.',
      );
    }
    return this.#fetch(url);
  }

  async #fetch(url: URL): Promise<Uint8Array> {
    const headers = await this.#authorization();
    const response = await ask(url, { headers });
    const { maxPictureBytes } = this.#config;
    if (Number(response.headers.get('content-length') ?? 0) > maxPictureBytes) throw tooLarge(maxPictureBytes);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += (chunk as Uint8Array).byteLength;
      if (bytes > maxPictureBytes) throw tooLarge(maxPictureBytes);
      chunks.push(chunk as Uint8Array);
    }
    return Buffer.concat(chunks);
  }

  /** A personal access token is a JWT that is exchanged for one that is good for minutes; a legacy token is sent as it is. */
  async #authorization(): Promise<Record<string, string>> {
    const { labelStudioToken: token, labelStudioUrl } = this.#config;
    if (token === '') return {};
    if (token.split('.').length !== 3) return { authorization: `Token ${token}` };
    const response = await ask(new URL('/api/token/refresh', labelStudioUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ refresh: token }),
    });
    const { access } = (await response.json()) as { readonly access: string };
    return { authorization: `Bearer ${access}` };
  }
}

async function ask(url: URL, init: RequestInit): Promise<Response> {
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const response = await fetch(url, { ...init, signal, redirect: 'error' }).catch((cause: unknown) => {
    throw new SegueError('UNAVAILABLE', 'Label Studio does not give the picture. Is it running?', { cause });
  });
  if (response.ok) return response;
  throw refused(`Label Studio answered ${response.status} for the picture. Is SEGUE_LABEL_STUDIO_TOKEN right?`);
}

function refused(sentence: string): SegueError {
  return new SegueError('INVALID_ARGUMENT', sentence);
}

function tooLarge(limit: number): SegueError {
  return new SegueError('INVALID_ARGUMENT', `The picture has more than ${limit} bytes.`, { reason: 'TOO_LARGE' });
}
