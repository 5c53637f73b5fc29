import type { Mode, Priority, Turn } from '@segue/core';

/** A picture: its bytes (JPEG, PNG or WebP), or the id that an earlier answer or upload gave it. */
export type Picture = { readonly image: ImageBytes } | { readonly imageId: string };

/** A file of a browser is a `Blob`; what Node reads from a file is a `Uint8Array`. */
export type ImageBytes = Uint8Array | ArrayBuffer | Blob;

export type SegmentOptions = Picture & {
  /** What to find, in words. */
  readonly instruction: string;
  /** Earlier turns about this picture, oldest first. */
  readonly history?: readonly Turn[];
  /** `answer` unless given. */
  readonly mode?: Mode;
  /** Name of a model; the service's default unless given. */
  readonly model?: string;
  readonly maxTokens?: number;
  readonly priority?: Priority;
  /** Time allowed for the whole job; the service's default unless given. */
  readonly timeoutMs?: number;
  /** The same key with the same request gives the same job, which then outlives the connection that made it. */
  readonly idempotencyKey?: string;
  /** Called when the job has ended; the service's operator says which hosts may be. */
  readonly webhookUrl?: string;
};

/** The request as a form, which carries a picture's bytes as they are. */
export function toForm(options: SegmentOptions): FormData {
  const fields: Readonly<Record<string, string | number | undefined>> = {
    instruction: options.instruction,
    history: options.history && JSON.stringify(options.history),
    mode: options.mode,
    model: options.model,
    max_tokens: options.maxTokens,
    priority: options.priority,
    timeout_ms: options.timeoutMs,
    idempotency_key: options.idempotencyKey,
    webhook_url: options.webhookUrl,
    image_id: 'imageId' in options ? options.imageId : undefined,
  };
  const form = 'image' in options ? imageForm(options.image) : new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) form.set(name, String(value));
  return form;
}

export function imageForm(image: ImageBytes): FormData {
  const form = new FormData();
  form.set('image', image instanceof Blob ? image : new Blob([image as Uint8Array<ArrayBuffer>]), 'image');
  return form;
}
