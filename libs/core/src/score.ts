/** Below this score a mask is more likely wrong than right, and people are told so. */
export const DOUBT_BELOW = 0.5;
