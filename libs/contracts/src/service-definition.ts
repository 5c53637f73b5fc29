import { fromBinary, toBinary, type DescService, type Message } from '@bufbuild/protobuf';

/** One method as grpc-js describes it (structurally its `MethodDefinition`, without importing grpc-js). */
export interface GrpcMethodDefinition {
  readonly path: string;
  readonly originalName: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: Message) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Message;
  readonly responseSerialize: (message: Message) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Message;
}

/** A grpc-js service definition made from generated protobuf-es code, keyed by the method's proto name. */
export function grpcServiceDefinition(service: DescService): Record<string, GrpcMethodDefinition> {
  const codec = (schema: DescService['methods'][number]['input']) => ({
    serialize: (message: Message) => asBuffer(toBinary(schema, message)),
    deserialize: (bytes: Buffer) => fromBinary(schema, bytes),
  });
  return Object.fromEntries(
    service.methods.map((method) => {
      const request = codec(method.input);
      const response = codec(method.output);
      return [
        method.name,
        {
          path: `/${service.typeName}/${method.name}`,
          originalName: method.localName,
          requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
          responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
          requestSerialize: request.serialize,
          requestDeserialize: request.deserialize,
          responseSerialize: response.serialize,
          responseDeserialize: response.deserialize,
        },
      ];
    }),
  );
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
