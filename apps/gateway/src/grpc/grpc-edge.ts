import { create } from '@bufbuild/protobuf';
import { status as Status, type ServerCredentials } from '@grpc/grpc-js';
import { GRPCInferenceService, ListModelsResponseSchema, SegmentationService as Definition } from '@segue/contracts';
import { RpcServer, type CallContext, type EndedCall, type Handlers } from '@segue/rpc';
import type { Logger } from '@segue/service';
import type { Access } from '../access/access.js';
import type { GatewayConfig } from '../config.js';
import type { Infer } from '../inference/infer.js';
import { inferenceHandlers } from '../inference/inference-rpc.js';
import type { GatewayMetrics } from '../metrics/gateway-metrics.js';
import type { ModelCatalogue } from '../models/model-catalogue.js';
import type { Caller, SegmentationService } from '../segmentation/segmentation.service.js';
import type { Uploads } from '../uploads.js';
import { fromWireRequest, spell, toWireAnswer, toWireEvent, toWireJob, toWireModel } from './messages.js';

/** Room for a picture that is over the limit by little, so that our own sentence refuses it, not the transport's. */
const SLACK_BYTES = 8 * 1024 * 1024;

export interface GrpcEdgeNeeds {
  readonly service: SegmentationService;
  readonly catalogue: ModelCatalogue;
  readonly infer: Infer;
}

export interface GrpcEdgeOptions {
  readonly access: Access;
  /** Without TLS unless given. */
  readonly credentials: ServerCredentials | undefined;
  readonly uploads: Uploads;
  readonly config: Pick<GatewayConfig, 'maxPictureBytes' | 'uploadTimeoutMs' | 'maxStreamsPerConnection'>;
  /** Whether clients can ask what the server offers. */
  readonly reflection: boolean;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/**
 * The gRPC interface: `segue.v1.SegmentationService`, the Open Inference Protocol, health and, where it is wanted, reflection.
 *
 * It runs on grpc-js itself, inside Nest's lifecycle, instead of on Nest's gRPC transport: handlers typed by the
 * generated service, deadlines and cancellation as one `AbortSignal`, streams that wait for slow readers, and error
 * details in the trailers take less code this way than they take to win back from the transport's observables.
 */
export class GrpcEdge {
  readonly #server: RpcServer;

  constructor(
    { service, catalogue, infer }: GrpcEdgeNeeds,
    { access, credentials, uploads, config, reflection, metrics, logger }: GrpcEdgeOptions,
  ) {
    const onEnd = (call: EndedCall): void => {
      metrics.grpcRequest(call);
      const { method, requestId, status, error } = call;
      if (status === Status.INTERNAL) logger.error({ err: error, method, requestId }, 'call failed');
      logger.info({ requestId, method, status: Status[status], ms: Math.round(call.seconds * 1000) }, 'answered');
    };
    this.#server = new RpcServer({
      maxReceiveBytes: config.maxPictureBytes + SLACK_BYTES,
      receiveTimeoutMs: config.uploadTimeoutMs,
      maxStreams: config.maxStreamsPerConnection,
      credentials,
      reflection,
      // Before anything of the message is read.
      admit: ({ authorization }) => uploads.open(access.identify(authorization)),
      onEnd,
    });
    this.#server.add(Definition, handlers(service, catalogue, access));
    this.#server.add(GRPCInferenceService, inferenceHandlers(infer, catalogue, callersOf(access)));
  }

  /** @returns the port. */
  async start(host: string, port: number): Promise<number> {
    const bound = await this.#server.listen(host, port);
    this.#server.setServing(true);
    return bound;
  }

  close(graceMs: number): Promise<void> {
    return this.#server.close(graceMs);
  }
}

function handlers(
  service: SegmentationService,
  catalogue: ModelCatalogue,
  access: Access,
): Handlers<typeof Definition> {
  const tenantOf = ({ authorization }: CallContext) => access.identify(authorization);
  const callerOf = callersOf(access);
  return {
    async segment(request, call) {
      const command = fromWireRequest(request);
      return toWireAnswer(await service.segment(command, callerOf(call)), service.maskEncoder(command));
    },
    async *streamSegment(request, call) {
      const command = fromWireRequest(request);
      const encodeMask = service.maskEncoder(command);
      const events = service.stream(command, callerOf(call));
      for await (const event of events) yield toWireEvent(event, encodeMask);
    },
    async submitJob(request, call) {
      const job = await service.submit(fromWireRequest(request), callerOf(call));
      return toWireJob(job.value, job.encodeMask);
    },
    async getJob({ jobId }, call) {
      const job = await service.job(jobId, tenantOf(call));
      return toWireJob(job.value, job.encodeMask);
    },
    async *watchJob({ jobId, afterEventId }, call) {
      const events = await service.watch(jobId, afterEventId || undefined, callerOf(call));
      for await (const event of events.value) yield toWireEvent(event, events.encodeMask);
    },
    async cancelJob({ jobId }, call) {
      const job = await service.cancel(jobId, tenantOf(call));
      return toWireJob(job.value, job.encodeMask);
    },
    async listModels() {
      const devices = await service.devices();
      return create(ListModelsResponseSchema, { models: catalogue.models.map((model) => toWireModel(model, devices)) });
    },
  };
}

/** Who calls, as the service knows callers. */
function callersOf(access: Access): (call: CallContext) => Caller {
  return ({ signal, deadlineAtMs, requestId, authorization }) => {
    return { signal, deadlineAtMs, requestId, tenant: access.identify(authorization), spell };
  };
}
