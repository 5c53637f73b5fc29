import { create } from '@bufbuild/protobuf';
import {
  credentials,
  makeClientConstructor,
  status,
  type CallOptions,
  type Client,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  grpcServiceDefinition,
  MaskFormat,
  SegmentationService,
  SegmentRequestSchema,
  type Answer,
  type SegmentRequest,
} from '@segue/contracts';
import { SegueError, type JobEvent } from '@segue/core';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  collect,
  MASK,
  photo,
  signal,
  TEXT,
  until,
  useGateway,
  WIDTH,
  type RunningGateway,
} from '../gateway.fixture.js';

const fixture = useGateway();
let gateway: RunningGateway;
let png: Buffer;

beforeEach(async () => {
  gateway = fixture.gateway;
  png = await photo();
});

const question = () => ({ image: png, instruction: 'Where is the cup?' });

describe('a question', () => {
  it('is answered', async () => {
    const answer = await gateway.client.segment(question());
    expect(answer).toMatchObject({ text: TEXT, finishReason: 'stop', cache: { image: false, prefix: false } });
    expect(answer.segments).toMatchObject([{ index: 0, phrase: 'the cup', span: [6, 13], mask: MASK, area: 12 }]);
    expect(await gateway.client.segment({ imageId: answer.imageId, instruction: 'Again?' })).toMatchObject({
      text: TEXT,
    });
  });

  it('is answered in masks of every format', async () => {
    const ask = async (maskFormat: MaskFormat) =>
      (
        await raw(
          create(SegmentRequestSchema, { picture: { case: 'image', value: png }, instruction: 'x', maskFormat }),
        )
      ).segments[0]?.mask?.encoding;
    expect(await ask(MaskFormat.UNSPECIFIED)).toMatchObject({ case: 'rle', value: { counts: MASK.counts } });
    const encoding = await ask(MaskFormat.PNG);
    expect((await sharp(encoding?.value as Uint8Array).metadata()).width).toBe(WIDTH);
    expect(await ask(MaskFormat.POLYGON)).toMatchObject({
      case: 'polygon',
      value: { rings: [{ points: expect.any(Array) }] },
    });
  });

  it('streams its events', async () => {
    const events = await collect(gateway.client.stream(question()));
    expect(events[0]).toMatchObject({ type: 'accepted' });
    expect(events.at(-1)).toMatchObject({ type: 'completed', answer: { text: TEXT } });
    expect(textOf(events)).toBe(TEXT);
  });

  it('is cancelled when its client goes away', async () => {
    const began = signal();
    const ended = signal();
    fixture.stages.generate = (context) => {
      began.give();
      return until(context.signal).finally(() => ended.give());
    };
    const controller = new AbortController();
    const answer = gateway.client.segment(question(), { signal: controller.signal });
    answer.catch(() => undefined);
    await began.given;
    controller.abort();
    await ended.given;
    await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('is given up at its deadline', async () => {
    fixture.stages.generate = (context) => until(context.signal);
    await expect(gateway.client.segment({ ...question(), timeoutMs: 200 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
  });
});

describe('a job', () => {
  it('is submitted, watched from any point, and got', async () => {
    const { jobId } = await gateway.client.submit(question());
    const events = await collect(gateway.client.watch(jobId));
    expect(events.at(-1)).toMatchObject({ type: 'completed' });
    expect(await collect(gateway.client.watch(jobId, { afterEventId: events[1]!.id }))).toEqual(events.slice(2));
    expect(await gateway.client.get(jobId)).toMatchObject({ state: 'completed', answer: { text: TEXT } });
  });

  it('is the same for the same idempotency key', async () => {
    const once = { ...question(), idempotencyKey: 'once' };
    const [a, b] = [await gateway.client.submit(once), await gateway.client.submit(once)];
    expect(a.jobId).toBe(b.jobId);
    const other = gateway.client.submit({ ...once, instruction: 'Something else' });
    await expect(other).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('that has a key outlives the deadline of the call that made it', async () => {
    const { generate } = fixture.stages;
    const goOn = signal();
    fixture.stages.generate = async (context) => {
      await goOn.given;
      return generate(context);
    };
    const asked = create(SegmentRequestSchema, {
      picture: { case: 'image', value: png },
      instruction: 'x',
      idempotencyKey: 'patient',
    });
    await expect(raw(asked, { deadline: Date.now() + 500 })).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    const again = raw(asked);
    goOn.give();
    expect((await again).text).toBe(TEXT);
  });

  it('is cancelled, and outlives its client', async () => {
    const began = signal();
    fixture.stages.generate = (context) => {
      began.give();
      return until(context.signal);
    };
    const { jobId } = await gateway.client.submit(question());
    await began.given;
    for await (const event of gateway.client.watch(jobId)) if (event.type === 'stage') break;
    expect(await gateway.client.get(jobId)).toMatchObject({ state: 'running' });
    expect(await gateway.client.cancel(jobId)).toMatchObject({ state: 'cancelled' });
  });

  it('is failed with what its stage said', async () => {
    fixture.stages.generate = async () => {
      throw new SegueError('INVALID_ARGUMENT', 'The question has 300 tokens; ask with at most 256.');
    };
    await expect(gateway.client.segment(question())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('256'),
    });
  });
});

describe('bad input', () => {
  const image = () => ({ picture: { case: 'image', value: png } as const, instruction: 'x' });
  const cases: readonly [name: string, request: () => SegmentRequest, code: string, says: string][] = [
    ['no picture', () => create(SegmentRequestSchema, { instruction: 'x' }), 'INVALID_ARGUMENT', 'either the picture'],
    ['0 bytes', () => ofImage(Buffer.alloc(0)), 'INVALID_ARGUMENT', 'empty'],
    ['something else than a picture', () => ofImage(Buffer.from('hello')), 'INVALID_ARGUMENT', 'JPEG, PNG or WebP'],
    ['26 MiB', () => ofImage(Buffer.alloc(26 << 20)), 'INVALID_ARGUMENT', 'at most'],
    [
      'an empty instruction',
      () => create(SegmentRequestSchema, { ...image(), instruction: '' }),
      'INVALID_ARGUMENT',
      '"instruction" must not be empty',
    ],
    [
      'a 10 kB instruction',
      () => create(SegmentRequestSchema, { ...image(), instruction: 'x'.repeat(10_000) }),
      'INVALID_ARGUMENT',
      'at most 4000',
    ],
    [
      'an unknown picture',
      () => create(SegmentRequestSchema, { ...image(), picture: { case: 'imageId', value: 'a'.repeat(64) } }),
      'NOT_FOUND',
      'again',
    ],
    ['an unknown model', () => create(SegmentRequestSchema, { ...image(), model: 'gpt' }), 'NOT_FOUND', 'tiny-random'],
    [
      'an unknown mode',
      () => create(SegmentRequestSchema, { ...image(), mode: 9 as never }),
      'INVALID_ARGUMENT',
      'answer, mask_only',
    ],
    [
      'too long a time',
      () => create(SegmentRequestSchema, { ...image(), timeoutMs: 10n ** 12n }),
      'INVALID_ARGUMENT',
      '"timeout_ms"',
    ],
    [
      'too many tokens',
      () => create(SegmentRequestSchema, { ...image(), maxTokens: 1_000_000 }),
      'INVALID_ARGUMENT',
      '"max_tokens" must be at most',
    ],
    [
      'a key with a space',
      () => create(SegmentRequestSchema, { ...image(), idempotencyKey: 'a b' }),
      'INVALID_ARGUMENT',
      '"idempotency_key" must be',
    ],
    [
      'an empty turn',
      () => create(SegmentRequestSchema, { ...image(), history: [{ instruction: 'x', answer: ' ' }] }),
      'INVALID_ARGUMENT',
      '"history[0].answer" must not be empty',
    ],
    ['an unknown field', unknownField, 'INVALID_ARGUMENT', 'no field with number 77'],
  ];

  it.each(cases)('%s', async (_name, request, code, says) => {
    const error = await gatewayError(raw(request()));
    expect(error).toMatchObject({ code, message: expect.stringContaining(says) });
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('an unknown job', async () => {
    for (const jobId of ['', 'nope', 'f'.repeat(32)]) {
      await expect(gateway.client.get(jobId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(gateway.client.cancel(jobId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(collect(gateway.client.watch(jobId))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  });
});

it('lists its models', async () => {
  expect(await gateway.client.models()).toMatchObject([
    { name: 'tiny-random', isDefault: true, trained: false, modes: expect.arrayContaining(['answer']) },
  ]);
});

function ofImage(value: Uint8Array): SegmentRequest {
  return create(SegmentRequestSchema, { picture: { case: 'image', value }, instruction: 'x' });
}

function unknownField(): SegmentRequest {
  const request = ofImage(png);
  request.$unknown = [{ no: 77, wireType: 2, data: new Uint8Array([1, 120]) }];
  return request;
}

/** `Segment` without the SDK, for what that would not send. */
async function raw(request: SegmentRequest, options: CallOptions = {}): Promise<Answer> {
  const Raw = makeClientConstructor(grpcServiceDefinition(SegmentationService) as never, 'Raw');
  const client = new Raw(gateway.grpcAddress, credentials.createInsecure()) as never as Client & {
    Segment: CallableFunction;
  };
  try {
    return await new Promise((resolve, reject) => {
      client.Segment(request, options, (error: ServiceError | null, answer: Answer) =>
        error ? reject(error) : resolve(answer),
      );
    });
  } finally {
    client.close();
  }
}

/** The whole error, as the trailer has it. */
async function gatewayError(call: Promise<unknown>): Promise<unknown> {
  const error = await call.then(
    () => Promise.reject(new Error('the call should have failed')),
    (thrown: ServiceError) => thrown,
  );
  return JSON.parse(String(error.metadata.get('segue-error-bin')[0]));
}

function textOf(events: readonly JobEvent[]): string {
  return events.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join('');
}
