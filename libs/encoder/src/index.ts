export { EncodeStage, type EncodeStageParts } from './encode-stage.js';
export { Encoder, encoderGraphs } from './encoder.js';
