import { project } from '../../vitest.base.js';

export default project('tensor-exchange', { floor: 93 });
