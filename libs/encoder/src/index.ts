export { EncodeStage, type EncodeStageParts } from './encode-stage.js';
export { Encoder, encoderGraphs, type Preprocess } from './encoder.js';
