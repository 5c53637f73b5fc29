export { allGraphs, openModels, type OpenModels } from './open-models.js';
export { Pipeline } from './pipeline.js';
