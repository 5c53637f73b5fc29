export { isSigned, signedHeaders } from './signature.js';
export { WebhookQueue } from './webhook-queue.js';
export { Webhooks, type BodyOf, type WebhookOptions } from './webhooks.js';
