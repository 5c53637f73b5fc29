export * from './open-sessions.js';
