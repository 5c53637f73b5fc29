export * from './session.js';
export * from './single-flight.js';
