import { project } from '../../vitest.base.js';

export default project('onnx', { floor: 95 });
