export { assembleAnswer } from './answer.js';
export type {
  DecodeContext,
  EncodeContext,
  Generated,
  GenerateContext,
  SegmentPrompt,
  StageContexts,
  StageProcessor,
  StageResults,
  TextPiece,
} from './contexts.js';
export type {
  PictureSize,
  PictureSizes,
  PictureSource,
  PullOptions,
  RgbImage,
  TensorSink,
  TensorSource,
} from './ports.js';
export { digestOf, tensorSetKey, type TensorSet, type TensorSetRef } from './tensor-set.js';
