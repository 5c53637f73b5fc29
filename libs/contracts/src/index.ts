export * from './gen/google/rpc/error_details_pb.js';
export { StatusSchema } from './gen/google/rpc/status_pb.js';
export { file_grpc_health_v1_health } from './gen/grpc/health/v1/health_pb.js';
export * from './gen/inference/grpc_predict_v2_pb.js';
export * from './gen/segue/v1/segmentation_pb.js';
export * from './gen/segue/v1/tensor_pb.js';
export { grpcServiceDefinition } from './service-definition.js';
