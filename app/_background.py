"""`Background`: a thread that does one job after the other."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Background:
    """Jobs in their order, on one thread, which the end of the process doesn't wait for: a database may hang."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], _T]) -> Future[_T]:
        """Have a job done; its outcome, also an exception, is the future's."""
        future: Future[_T] = Future()
        self._jobs.put((job, future))
        return future

    def close(self, seconds: float) -> None:
        """Take no more jobs, and wait a while for the last one."""
        self._jobs.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            try:
                result = job()
            except BaseException as error:  # whoever waits for the future is told
                future.set_exception(error)
            else:
                future.set_result(result)
            # Nothing of a batch is held while the next is waited for.
            del item, job, future
