export { GenerateStage, type GenerateStageParts } from './generate-stage.js';
export { languageGraphs } from './graphs.js';
export * from './language-model.js';
export * from './neutralise.js';
export type { LanguageObserver } from './observer.js';
