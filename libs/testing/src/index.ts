export { TestAuthority, type TestCertificate } from './certificates.js';
export { BYTE_TOKENS, byteTokenizer } from './byte-tokenizer.js';
export { connectOverGrpc, grpcClientOf, type GrpcClient } from './grpc-client.js';
export { everywhere, masterOf, startRedis } from './redis.js';
export { SAMPLE_REQUEST } from './sample-request.js';
export { EchoLanguageModel } from './echo-language-model.js';
export { TraceCollector, type CollectedSpan } from './trace-collector.js';
export { TINY_BUNDLE_DIR, TINY_LISA_DIR } from './tiny-bundle.js';
