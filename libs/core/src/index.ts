export * from './address.js';
export * from './answer.js';
export * from './errors.js';
export * from './job.js';
export * from './mask.js';
export * from './periodic.js';
export * from './request-id.js';
export * from './request.js';
