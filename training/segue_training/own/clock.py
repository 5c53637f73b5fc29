"""The time that a fine-tuning may take."""

from __future__ import annotations

import time


class Clock:
    """Says what is being done, and how much of the allowed time is left."""

    def __init__(self, allowed_s: float):
        self.started, self.allowed_s = time.monotonic(), allowed_s

    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def left(self) -> float:
        """Seconds that are left."""
        return self.allowed_s - self.spent()

    def say(self, text: str) -> None:
        """Prints a line with the time since the start."""
        print(f"[{int(self.spent()) // 60}:{int(self.spent()) % 60:02}] {text}", flush=True)
