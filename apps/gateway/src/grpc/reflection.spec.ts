import {
  create,
  createFileRegistry,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type DescMessage,
  type DescService,
  type JsonValue,
} from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials, Metadata, status, type ClientDuplexStream } from '@grpc/grpc-js';
import { afterEach, expect, it } from 'vitest';
import { photo, TEXT, useGateway, type RunningGateway } from '../gateway.fixture.js';

/** Field numbers of grpc.reflection.v1.ServerReflectionRequest and ServerReflectionResponse. */
const ASK = { symbol: 4, services: 7 } as const;
const ANSWER = { files: 4, services: 6 } as const;

const fixture = useGateway();
let client: Client;
afterEach(() => client.close());

function connect(gateway: RunningGateway): void {
  client = new Client(gateway.grpcAddress, credentials.createInsecure());
}

it('a client that knows nothing but the address lists, describes and calls', async () => {
  connect(await fixture.startAnother({ SEGUE_API_DOCS: 'public' }));
  const services = (await reflect(ASK.services, '*', ANSWER.services)).map((service) => texts(service)[0]);
  expect(services).toEqual(expect.arrayContaining(['segue.v1.SegmentationService', 'grpc.health.v1.Health']));

  const service = await describeService('segue.v1.SegmentationService');
  const methods = service.methods.map((method) => method.name);
  expect(methods).toEqual(['Segment', 'StreamSegment', 'SubmitJob', 'GetJob', 'WatchJob', 'CancelJob', 'ListModels']);

  const request = {
    image: (await photo()).toString('base64'),
    instruction: 'Where is the cup?',
    maskFormat: 'MASK_FORMAT_RLE',
  };
  expect(await call(service, 'Segment', request)).toMatchObject({ text: TEXT, segments: [{ phrase: 'the cup' }] });
  const health = await describeService('grpc.health.v1.Health');
  expect(await call(health, 'Check', {})).toEqual({ status: 'SERVING' });
});

it('tells clients nothing of itself unless its operator wants that', async () => {
  connect(fixture.gateway);
  const listed = reflect(ASK.services, '*', ANSWER.services);
  await expect(listed).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
});

async function describeService(name: string): Promise<DescService> {
  const replies = await reflect(ASK.symbol, name, ANSWER.files);
  const file = replies.flatMap((reply) =>
    fields(reply, 1).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)),
  );
  const service = createFileRegistry(create(FileDescriptorSetSchema, { file })).getService(name);
  expect(service).toBeDefined();
  return service!;
}

/** The messages in one field of the answer to one question. */
function reflect(field: number, value: string, answer: number): Promise<Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const raw = (bytes: Buffer): Buffer => bytes;
    const stream: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(path, raw, raw);
    stream.on('data', (reply: Buffer) =>
      resolve(answer === ANSWER.services ? fields(fields(reply, answer)[0]!, 1) : fields(reply, answer)),
    );
    stream.on('error', reject);
    stream.write(Buffer.from(new BinaryWriter().tag(field, 2).string(value).finish()));
    stream.end();
  });
}

async function call(service: DescService, name: string, request: JsonValue): Promise<JsonValue> {
  const method = service.methods.find((candidate) => candidate.name === name)!;
  const [input, output]: DescMessage[] = [method.input, method.output];
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      `/${service.typeName}/${name}`,
      (json: JsonValue) => Buffer.from(toBinary(input!, fromJson(input!, json))),
      (bytes: Buffer) => toJson(output!, fromBinary(output!, bytes)),
      request,
      new Metadata(),
      (error, reply) => (error ? reject(error) : resolve(reply ?? null)),
    );
  });
}

/** Length-delimited values of one field. */
function fields(message: Uint8Array, number: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === number && type === 2) found.push(reader.bytes());
    else reader.skip(type);
  }
  return found;
}

function texts(message: Uint8Array): string[] {
  return fields(message, 1).map((bytes) => Buffer.from(bytes).toString());
}
