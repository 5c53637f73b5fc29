export { Pipeline, type PipelineHooks, type PipelineModels, type PipelineRequest } from './pipeline.js';
