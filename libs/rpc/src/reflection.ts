import { fromBinary, toBinary, type DescFile, type DescService } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { service as healthDefinition } from 'grpc-health-check';
import { asProtocWrites } from './descriptors.js';

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/**
 * Server reflection (v1 and v1alpha) for the services and for grpc.health.v1. The descriptors are those that were
 * generated with the code, so they cannot differ from what is served.
 */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const files = [...new Set(services.flatMap((service) => withDependencies(service.file)))].map((file) => file.proto);
  const fileDescriptorProtos = [...files, ...healthFiles()].map((file) => toBinary(FileDescriptorProtoSchema, file));
  // Of a package definition, the implementation reads `fileDescriptorProtos` alone.
  new ReflectionService({ all: { fileDescriptorProtos } } as unknown as PackageDefinition).addToServer(server);
}

function withDependencies(file: DescFile): DescFile[] {
  return [file, ...file.dependencies.flatMap(withDependencies)];
}

function healthFiles(): FileDescriptorProto[] {
  const { fileDescriptorProtos = [] } = Object.values(healthDefinition)[0]?.requestType ?? {};
  return fileDescriptorProtos.map((bytes) => asProtocWrites(fromBinary(FileDescriptorProtoSchema, bytes)));
}
