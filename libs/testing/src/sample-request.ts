import type { SegmentationRequest } from '@segue/core';

/** A request as the gateway makes one, about a picture that nobody has stored. */
export const SAMPLE_REQUEST: SegmentationRequest = {
  imageId: 'a'.repeat(64),
  instruction: 'Where is the cup?',
  history: [],
  mode: 'answer',
  model: 'tiny-random',
  maxTokens: 32,
  maskFormat: 'rle',
  priority: 'normal',
};
