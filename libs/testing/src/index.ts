export { BYTE_TOKENS, byteTokenizer } from './byte-tokenizer.js';
export { connectOverGrpc, type GrpcClient } from './grpc-client.js';
export { EchoLanguageModel, type EchoRun } from './echo-language-model.js';
export { samplePicture } from './sample-picture.js';
export { TINY_BUNDLE_DIR, TINY_LISA_DIR } from './tiny-bundle.js';
