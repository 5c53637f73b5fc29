export { cropOf } from './crop.js';
export { closedLoop, openLoop, type Measured, type Outcome } from './loops.js';
export { percentiles, type Percentiles } from './percentiles.js';
