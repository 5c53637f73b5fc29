export { ERROR_METADATA_KEY } from './error-metadata.js';
export * from './gen/segue/v1/segmentation_pb.js';
export * from './gen/segue/v1/tensor_pb.js';
export { grpcServiceDefinition } from './service-definition.js';
