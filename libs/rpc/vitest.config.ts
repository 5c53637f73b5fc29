import { project } from '../../vitest.base.js';

export default project('rpc', { floor: 88 });
