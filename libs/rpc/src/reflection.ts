import { toBinary, type DescFile, type DescService } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { file_google_rpc_error_details, file_grpc_health_v1_health } from '@segue/contracts';

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/**
 * Server reflection (v1 and v1alpha) for the services, for grpc.health.v1, and for the details of errors. The descriptors
 * are those that were generated with the code, so they cannot differ from what is served.
 */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const roots = [...services.map((service) => service.file), file_grpc_health_v1_health, file_google_rpc_error_details];
  const files = [...new Set(roots.flatMap(withDependencies))];
  const fileDescriptorProtos = files.map((file) => toBinary(FileDescriptorProtoSchema, file.proto));
  // Of a package definition, the implementation reads `fileDescriptorProtos` alone.
  new ReflectionService({ all: { fileDescriptorProtos } } as unknown as PackageDefinition).addToServer(server);
}

function withDependencies(file: DescFile): DescFile[] {
  return [file, ...file.dependencies.flatMap(withDependencies)];
}
