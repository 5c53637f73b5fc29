import { create } from '@bufbuild/protobuf';
import {
  ModelInferResponseSchema,
  ModelMetadataResponseSchema,
  ModelReadyResponseSchema,
  ServerLiveResponseSchema,
  ServerMetadataResponseSchema,
  ServerReadyResponseSchema,
  type GRPCInferenceService,
  type ModelInferRequest,
} from '@segue/contracts';
import { SegueError } from '@segue/core';
import { INPUTS, OUTPUTS, toRaw, unpackOne, type Input, type TensorInfo } from '@segue/dialects';
import type { CallContext, Handlers } from '@segue/rpc';
import type { ModelCatalogue } from '../models/model-catalogue.js';
import type { Caller } from '../segmentation/segmentation.service.js';
import type { Infer } from './infer.js';
import { PLATFORM, SERVER } from './server.js';

/** The Open Inference Protocol, version 2, over gRPC. Outputs come as raw contents. */
export function inferenceHandlers(
  infer: Infer,
  catalogue: ModelCatalogue,
  callerOf: (call: CallContext) => Caller,
): Handlers<typeof GRPCInferenceService> {
  const model = (name: string, version: string) => catalogue.get(version === '' ? name : `${name}@${version}`);
  return {
    serverLive: async () => create(ServerLiveResponseSchema, { live: true }),
    serverReady: async () => create(ServerReadyResponseSchema, { ready: true }),
    async modelReady({ name, version }) {
      model(name, version);
      return create(ModelReadyResponseSchema, { ready: true });
    },
    serverMetadata: async () => create(ServerMetadataResponseSchema, SERVER),
    async modelMetadata(request) {
      const { name, version } = model(request.name, request.version);
      const [inputs, outputs] = [INPUTS.map(toInfo), OUTPUTS.map(toInfo)];
      return create(ModelMetadataResponseSchema, { name, versions: [version], platform: PLATFORM, inputs, outputs });
    },
    async modelInfer(request, call) {
      const wanted = request.outputs.map(({ name }) => name);
      const { modelName, modelVersion, id } = request;
      const inference = await infer.run(modelName, modelVersion, inputsOf(request), wanted, callerOf(call));
      return create(ModelInferResponseSchema, {
        id,
        modelName: inference.modelName,
        modelVersion: inference.modelVersion,
        outputs: inference.tensors.map(toInfo),
        rawOutputContents: inference.tensors.map(toRaw),
      });
    },
  };
}

function toInfo({ name, datatype, shape }: TensorInfo) {
  return { name, datatype, shape: shape.map(BigInt) };
}

function inputsOf({ inputs, rawInputContents }: ModelInferRequest): Input[] {
  if (rawInputContents.length > 0 && rawInputContents.length !== inputs.length) {
    throw new SegueError('INVALID_ARGUMENT', '"raw_input_contents" must hold one entry for each input, or none.');
  }
  return inputs.map(({ name, datatype, shape, contents }, index) => {
    const raw = rawInputContents[index];
    const element = raw ? unpackOne(raw, name) : contents?.bytesContents[0];
    if (!element) throw new SegueError('INVALID_ARGUMENT', `The input "${name}" has no value of the datatype BYTES.`);
    return { name, datatype, shape: shape.map(Number), element };
  });
}
