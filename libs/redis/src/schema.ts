/**
 * Version of what is written in Redis of jobs: their records and their tasks, each of which names it as `schema`; what names none is of
 * the first. Raise it with a change that a worker of the version before could not go on from: during an update such a worker leaves
 * what is of a later version to others.
 */
export const SCHEMA = 1;
