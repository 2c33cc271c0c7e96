"""The progress bar of a batch of prompts, which also shows tokens before any prompt is answered."""

import time
from threading import Lock
from types import TracebackType
from typing import Self

from tqdm import tqdm

INTERVAL = 0.5
"""Seconds between two updates, so that a log that keeps every update stays short."""


class Progress:
    """A bar of `total` prompts, of which `answered` are known before. Threads may share it."""

    def __init__(self, label: str, total: int, answered: int) -> None:
        self._bar = tqdm(
            total=total,
            initial=answered,
            desc=label,
            unit="prompt",
            mininterval=INTERVAL,
            # Otherwise no update is shown until the number of prompts has changed.
            miniters=0,
        )
        self._lock, self._started = Lock(), time.monotonic()
        self._written = self._answered = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._bar.close()

    def wrote(self, tokens: int) -> None:
        """Show that so many more tokens are written."""
        with self._lock:
            self._written += tokens
            self._show(prompts=0)

    def answered(self, tokens: int) -> None:
        """Show that one more prompt is answered, by so many tokens in all."""
        with self._lock:
            self._answered += tokens
            self._show(prompts=1)

    def _show(self, prompts: int) -> None:
        # An endpoint tells the tokens of an answer at its end alone.
        tokens = max(self._written, self._answered)
        speed = tokens / max(time.monotonic() - self._started, 1e-9)
        self._bar.set_postfix_str(f"{tokens:,} tokens, {speed:,.0f} tokens/s", refresh=False)
        self._bar.update(prompts)
