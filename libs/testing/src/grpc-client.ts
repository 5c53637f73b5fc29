import type { DescService } from '@bufbuild/protobuf';
import { createClient, type Client } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { SegmentationService } from '@segue/contracts';

export type GrpcClient = Client<typeof SegmentationService>;

/**
 * A gRPC client of another make than the server, generated from the contract as anybody would.
 * @param address host:port
 */
export function connectOverGrpc(address: string): GrpcClient {
  return grpcClientOf(SegmentationService, address);
}

/** The same for another service. */
export function grpcClientOf<S extends DescService>(service: S, address: string): Client<S> {
  return createClient(service, createGrpcTransport({ baseUrl: `http://${address}` }));
}
