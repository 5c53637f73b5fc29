import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js';
import { create, toBinary } from '@bufbuild/protobuf';
import { SegmentRequestSchema, TensorRefSchema } from '@segue/contracts';
import { below, damaged, faultOf, LIMIT_MS, type Case, type Random, type Target } from './case.js';

/** A client that sends and reads nothing but bytes. */
function send(address: string, path: string, bytes: Uint8Array): Promise<ServiceError | undefined> {
  const client = new Client(address, credentials.createInsecure());
  const raw = (buffer: Buffer) => buffer;
  return new Promise<ServiceError | undefined>((resolve) => {
    const deadline = Date.now() + LIMIT_MS;
    const call = client.makeServerStreamRequest(path, raw, raw, Buffer.from(bytes), { deadline });
    call.on('data', () => undefined);
    call.on('error', (error: ServiceError) => resolve(error));
    call.on('end', () => resolve(undefined));
  }).finally(() => client.close());
}

const REFUSALS: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.RESOURCE_EXHAUSTED,
  status.UNIMPLEMENTED,
  status.ALREADY_EXISTS,
]);

function grpc(
  name: string,
  path: string,
  make: (target: Target) => Uint8Array,
  refused = false,
  at: 'gateway' | 'tensors' = 'gateway',
): Case {
  return {
    name: `${at === 'gateway' ? 'grpc' : 'tensors'}: ${name}`,
    async run(target) {
      const address = at === 'gateway' ? target.system.app('gateway').grpcAddress : target.tensorAddress;
      const sent = make(target);
      const error = await send(address, path, sent);
      if (!error) return refused ? 'it was taken' : undefined;
      if (!REFUSALS.has(error.code)) return `${status[error.code]}: ${error.details.slice(0, 200)}`;
      return faultOf(error.details, path + Buffer.from(sent.slice(0, 5_000)).toString('latin1'));
    },
  };
}

const SEGUE = '/segue.v1.SegmentationService';

/** A field of protobuf: its number and wire type, then what follows. */
const field = (number: number, wireType: number, ...rest: number[]) => Buffer.from([number * 8 + wireType, ...rest]);

export function grpcCases(random: Random): Case[] {
  const good = ({ imageId }: Target) =>
    toBinary(
      SegmentRequestSchema,
      create(SegmentRequestSchema, {
        picture: { case: 'imageId', value: imageId },
        instruction: 'Where is it?',
        maxTokens: 4,
        history: [{ instruction: 'And?', answer: 'No.' }],
      }),
    );
  const added = (name: string, more: Buffer, refused = true) =>
    grpc(name, `${SEGUE}/Segment`, (target) => Buffer.concat([good(target), more]), refused);
  const bytes = (length: number) => Buffer.from(Array.from({ length }, () => below(256, random)));
  const methods = ['Segment', 'StreamSegment', 'SubmitJob', 'GetJob', 'WatchJob', 'CancelJob'];
  return [
    ...methods.flatMap((method) =>
      Array.from({ length: 10 }, (_, index) =>
        grpc(`${method}: random bytes`, `${SEGUE}/${method}`, () => bytes(1 + 20 * index)),
      ),
    ),
    ...Array.from({ length: 40 }, () =>
      grpc('a request with damage', `${SEGUE}/Segment`, (target) => damaged(good(target), random)),
    ),
    ...[5, 8, 9].flatMap((enumeration) => [
      added(`an enum that has no such number, field ${enumeration}`, field(enumeration, 0, 99)),
      added(
        `a negative enum, field ${enumeration}`,
        field(enumeration, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1),
      ),
    ]),
    added('a field that is not known', field(15, 0, 1)),
    added('20 000 fields that are not known', Buffer.concat(Array.from({ length: 20_000 }, () => field(15, 0, 1)))),
    added('20 000 turns', Buffer.concat(Array.from({ length: 20_000 }, () => field(4, 2, 0)))),
    added('a group that does not end', field(14, 3)),
    added('a length beyond the end', field(3, 2, 255, 255, 255, 255, 7)),
    added('text that is no UTF-8', field(3, 2, 2, 0xff, 0xfe)),
    added('a tolerance that is no number', Buffer.concat([field(8, 0, 3), field(12, 5, 0, 0, 0xc0, 0x7f)])),
    ...['', 'x', '__proto__', '0'.repeat(32), 'a'.repeat(5_000), '\u0000'].flatMap((id) => {
      const named = Buffer.concat([field(1, 2, ...varint(Buffer.byteLength(id))), Buffer.from(id)]);
      return ['GetJob', 'WatchJob', 'CancelJob'].map((method) =>
        grpc(`${method} of ${JSON.stringify(id.slice(0, 20))}`, `${SEGUE}/${method}`, () => named, true),
      );
    }),
    grpc('a method that does not exist', `${SEGUE}/Destroy`, good, true),
    grpc('a service that does not exist', '/segue.v1.TensorService/Pull', good, true),
  ];
}

export function tensorCases(random: Random): Case[] {
  const path = '/segue.v1.TensorService/Pull';
  const ref = (key: string, name: string) => toBinary(TensorRefSchema, create(TensorRefSchema, { key, name }));
  const names = [
    '',
    'constructor',
    '__proto__',
    'toString',
    'visual_tokens',
    '../manifest.json',
    'a'.repeat(2_000),
    '\u0000',
  ];
  const digest = 'a'.repeat(64);
  return [
    ...names.flatMap((name) =>
      ['', `${digest}/${digest}`, '__proto__', 'hasOwnProperty'].map((key) =>
        grpc(`${key.slice(0, 20)} ${name.slice(0, 20)}`, path, () => ref(key, name), true, 'tensors'),
      ),
    ),
    ...Array.from({ length: 15 }, () =>
      grpc('with damage', path, () => damaged(ref(digest, 'visual_tokens'), random), true, 'tensors'),
    ),
    grpc('more than a name', path, () => Buffer.alloc(100_000, 10), true, 'tensors'),
    grpc('a method that does not exist', '/segue.v1.TensorService/Push', () => ref('a', 'b'), true, 'tensors'),
  ];
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)];
}
