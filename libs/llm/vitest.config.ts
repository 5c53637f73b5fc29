import { project } from '../../vitest.base.js';

export default project('llm', { floor: 93 });
