export { DecodeStage, type DecodeStageParts } from './decode-stage.js';
export { Decoder, decoderGraphs, type DecodedMask } from './decoder.js';
