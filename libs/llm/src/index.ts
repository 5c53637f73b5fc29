export type { SegmentDraft, TextPiece } from './answer.js';
export { languageGraphs } from './graphs.js';
export * from './language-model.js';
export * from './neutralise.js';
export type { LanguageObserver } from './observer.js';
export type { AnswerListener, PromptedSegment } from './row.js';
