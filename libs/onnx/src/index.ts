export { chooseDevice, DEVICE_PATTERN, deviceName } from './device.js';
export * from './open-sessions.js';
