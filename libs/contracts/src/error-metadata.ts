/**
 * Trailer of a failed call that holds the whole error as JSON: `{ code, message, details, reason?, retryAfterMs? }`.
 * The status itself carries the code and the message, which is enough for most clients.
 */
export const ERROR_METADATA_KEY = 'segue-error-bin';
