import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code, type ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  JobState,
  MaskFormat,
  Mode,
  SegmentRequestSchema,
  Stage,
  type JobEvent,
  type SegmentRequest,
} from '@segue/contracts';
import { SegueError } from '@segue/core';
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

type Request = MessageInitShape<typeof SegmentRequestSchema>;

const fixture = useGateway();
let gateway: RunningGateway;
let png: Buffer;

beforeEach(async () => {
  gateway = fixture.gateway;
  png = await photo();
});

const question = () => ({ picture: ofImage(png), instruction: 'Where is the cup?' });

describe('a question', () => {
  it('is answered', async () => {
    const answer = await gateway.grpc.segment(question());
    expect(answer).toMatchObject({ text: TEXT, finishReason: 'stop', cache: { image: false, prefix: false } });
    expect(answer.usage).toMatchObject({ promptTokens: 9, completionTokens: 7 });
    const [height, width] = MASK.size;
    const mask = { height, width, encoding: { case: 'rle', value: { counts: MASK.counts } } };
    expect(answer.segments).toMatchObject([
      { index: 0, phrase: 'the cup', span: { start: 6, end: 13 }, mask, area: 12n, score: 0.5 },
    ]);
    const again: Request = { picture: { case: 'imageId', value: answer.imageId }, instruction: 'Again?' };
    expect(await gateway.grpc.segment(again)).toMatchObject({ text: TEXT });
  });

  it('is answered in masks of every format', async () => {
    const ask = async (maskFormat: MaskFormat) =>
      (await gateway.grpc.segment({ ...question(), maskFormat })).segments[0]?.mask?.encoding;
    expect(await ask(MaskFormat.UNSPECIFIED)).toMatchObject({ case: 'rle', value: { counts: MASK.counts } });
    const encoding = await ask(MaskFormat.PNG);
    expect((await sharp(encoding?.value as Uint8Array).metadata()).width).toBe(WIDTH);
    expect(await ask(MaskFormat.POLYGON)).toMatchObject({
      case: 'polygon',
      value: { rings: [{ points: expect.any(Array) }] },
    });
  });

  it('streams its events', async () => {
    const events = await collect(gateway.grpc.streamSegment(question()));
    expect(events[0]).toMatchObject({ event: { case: 'accepted' } });
    expect(events).toContainEqual(
      expect.objectContaining({
        event: { case: 'stage', value: expect.objectContaining({ stage: Stage.ENCODE, done: true }) },
      }),
    );
    expect(events.at(-1)).toMatchObject({ event: { case: 'completed', value: { text: TEXT } } });
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
    const answer = gateway.grpc.segment(question(), { signal: controller.signal });
    const refused = expect(answer).rejects.toMatchObject({ code: Code.Canceled });
    await began.given;
    controller.abort();
    await ended.given;
    await refused;
  });

  it('is given up at its deadline', async () => {
    fixture.stages.generate = (context) => until(context.signal);
    const late = { code: Code.DeadlineExceeded };
    await expect(gateway.grpc.segment({ ...question(), timeoutMs: 200n })).rejects.toMatchObject(late);
    await expect(gateway.grpc.segment(question(), { timeoutMs: 200 })).rejects.toMatchObject(late);
  });
});

describe('a job', () => {
  it('is submitted, watched from any point, and got', async () => {
    const { jobId } = await gateway.grpc.submitJob(question());
    const events = await collect(gateway.grpc.watchJob({ jobId }));
    expect(events.at(-1)).toMatchObject({ event: { case: 'completed' } });
    expect(await collect(gateway.grpc.watchJob({ jobId, afterEventId: events[1]!.id }))).toEqual(events.slice(2));
    expect(await gateway.grpc.getJob({ jobId })).toMatchObject({ state: JobState.COMPLETED, answer: { text: TEXT } });
  });

  it('is the same for the same idempotency key', async () => {
    const once = { ...question(), idempotencyKey: 'once' };
    const [a, b] = [await gateway.grpc.submitJob(once), await gateway.grpc.submitJob(once)];
    expect(a.jobId).toBe(b.jobId);
    const other = gateway.grpc.submitJob({ ...once, instruction: 'Something else' });
    await expect(other).rejects.toMatchObject({ code: Code.AlreadyExists });
  });

  it('that has a key outlives the deadline of the call that made it', async () => {
    const { generate } = fixture.stages;
    const goOn = signal();
    fixture.stages.generate = async (context) => {
      await goOn.given;
      return generate(context);
    };
    const asked = { ...question(), idempotencyKey: 'patient' };
    const late = { code: Code.DeadlineExceeded };
    await expect(gateway.grpc.segment(asked, { timeoutMs: 500 })).rejects.toMatchObject(late);
    const again = gateway.grpc.segment(asked);
    goOn.give();
    expect((await again).text).toBe(TEXT);
  });

  it('is cancelled, and outlives its client', async () => {
    const began = signal();
    fixture.stages.generate = (context) => {
      began.give();
      return until(context.signal);
    };
    const { jobId } = await gateway.grpc.submitJob(question());
    await began.given;
    for await (const { event } of gateway.grpc.watchJob({ jobId })) if (event.case === 'stage') break;
    expect(await gateway.grpc.getJob({ jobId })).toMatchObject({ state: JobState.RUNNING });
    expect(await gateway.grpc.cancelJob({ jobId })).toMatchObject({ state: JobState.CANCELLED });
  });

  it('is failed with what its stage said', async () => {
    fixture.stages.generate = async () => {
      throw new SegueError('INVALID_ARGUMENT', 'The question has 300 tokens; ask with at most 256.');
    };
    await expect(gateway.grpc.segment(question())).rejects.toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: expect.stringContaining('256'),
    });
  });
});

describe('bad input', () => {
  /** What a request has instead of what `question` has. */
  const cases: readonly [name: string, given: Request, code: Code, says: string][] = [
    ['no picture', { picture: { case: undefined } }, Code.InvalidArgument, 'either the picture'],
    ['0 bytes', { picture: ofImage(Buffer.alloc(0)) }, Code.InvalidArgument, 'empty'],
    ['no picture', { picture: ofImage(Buffer.from('hello')) }, Code.InvalidArgument, 'JPEG, PNG or WebP'],
    ['26 MiB', { picture: ofImage(Buffer.alloc(26 << 20)) }, Code.InvalidArgument, 'at most'],
    ['an empty instruction', { instruction: '' }, Code.InvalidArgument, '"instruction" must not be empty'],
    ['a 10 kB instruction', { instruction: 'x'.repeat(10_000) }, Code.InvalidArgument, 'at most 4000'],
    [
      'a history of 128 000 characters',
      { history: Array.from({ length: 16 }, () => ({ instruction: 'x'.repeat(4_000), answer: 'y'.repeat(4_000) })) },
      Code.InvalidArgument,
      '"history" must be at most 16000',
    ],
    ['an unknown picture', { picture: { case: 'imageId', value: 'a'.repeat(64) } }, Code.NotFound, 'again'],
    ['an unknown model', { model: 'gpt' }, Code.NotFound, 'tiny-random'],
    ['an unknown mode', { mode: 9 as never }, Code.InvalidArgument, 'answer, mask_only'],
    ['too long a time', { timeoutMs: 10n ** 12n }, Code.InvalidArgument, '"timeout_ms"'],
    ['too many tokens', { maxTokens: 1_000_000 }, Code.InvalidArgument, '"max_tokens" must be at most'],
    ['a key with a space', { idempotencyKey: 'a b' }, Code.InvalidArgument, '"idempotency_key" must be'],
    [
      'an empty turn',
      { history: [{ instruction: 'x', answer: ' ' }] },
      Code.InvalidArgument,
      '"history[0].answer" must not be empty',
    ],
  ];

  it.each(cases)('%s', async (_name, given, code, says) => {
    await refuses(create(SegmentRequestSchema, { ...question(), ...given }), code, says);
  });

  it('an unknown field', async () => {
    const request = create(SegmentRequestSchema, question());
    request.$unknown = [{ no: 77, wireType: 2, data: new Uint8Array([1, 120]) }];
    await refuses(request, Code.InvalidArgument, 'no field with number 77');
  });

  it('names the fields that are wrong, as clients in every language expect it', async () => {
    const error = await gateway.grpc.segment({ instruction: '', maxTokens: 5 }).catch((thrown: unknown) => thrown);
    const details = (error as ConnectError).findDetails(BadRequestSchema);
    expect(details).toMatchObject([{ fieldViolations: [{ field: 'instruction', description: 'must not be empty' }] }]);
    expect((error as ConnectError).findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: 'INVALID_ARGUMENT', domain: 'segue' },
    ]);
  });

  it('an unknown job', async () => {
    for (const jobId of ['', 'nope', 'f'.repeat(32)]) {
      await expect(gateway.grpc.getJob({ jobId })).rejects.toMatchObject({ code: Code.NotFound });
      await expect(gateway.grpc.cancelJob({ jobId })).rejects.toMatchObject({ code: Code.NotFound });
      await expect(collect(gateway.grpc.watchJob({ jobId }))).rejects.toMatchObject({ code: Code.NotFound });
    }
  });
});

it('lists its models', async () => {
  expect((await gateway.grpc.listModels({})).models).toMatchObject([
    {
      name: 'tiny-random',
      isDefault: true,
      trained: false,
      devices: ['cpu', 'cuda:0'],
      modes: expect.arrayContaining([Mode.ANSWER]),
    },
  ]);
});

function ofImage(value: Uint8Array) {
  return { case: 'image' as const, value };
}

async function refuses(request: SegmentRequest, code: Code, says: string): Promise<void> {
  const refusal = { code, rawMessage: expect.stringContaining(says) };
  await expect(gateway.grpc.segment(request)).rejects.toMatchObject(refusal);
  expect(await fixture.leftovers()).toEqual([]);
}

function textOf(events: readonly JobEvent[]): string {
  return events.flatMap(({ event }) => (event.case === 'text' ? [event.value.text] : [])).join('');
}
