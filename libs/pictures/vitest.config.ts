import { project } from '../../vitest.base.js';

export default project('pictures', { floor: 97 });
