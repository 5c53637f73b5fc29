export { WebhookQueue } from './webhook-queue.js';
export { Webhooks, type BodyOf } from './webhooks.js';
