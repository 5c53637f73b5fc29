import type { Answer, JobEventBody } from '@segue/client';
import { connect, type ServiceOptions } from './connect.js';
import { answerOf } from './show.js';

/** An answer, and the size of its picture in pixels. */
export interface Reply {
  readonly answer: Answer;
  readonly width: number;
  readonly height: number;
}

/** Whatever answers questions: a service, or the model in this process. */
export interface Source {
  /** @throws SegueError */
  ask(image: Uint8Array, question: string, onEvent: (event: JobEventBody) => void): Promise<Reply>;
  close(): Promise<void>;
}

export interface ServiceSourceOptions extends ServiceOptions {
  readonly model?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

export function overHttp({ model, timeout, ...service }: ServiceSourceOptions): Source {
  const client = connect(service);
  return {
    async ask(image, instruction, onEvent) {
      const { imageId, width, height } = await client.images.upload(image);
      const options = {
        imageId,
        instruction,
        ...(model !== undefined && { model }),
        ...(timeout !== undefined && { timeoutMs: timeout }),
      };
      return { answer: await answerOf(client.stream(options), onEvent), width, height };
    },
    close: () => Promise.resolve(),
  };
}
