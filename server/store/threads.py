"""Worker threads of the store: each has its own connection to the database, and ends by closing it."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from server.errors import Unavailable

Job = Callable[[], object]


class Threads:
    """Threads that run jobs, in the order in which they were given. A job answers for itself: it must not raise, and
    what it returns is nobody's. `concurrent.futures` would make a lock, a condition and a future for each."""

    def __init__(self, name: str, count: int, *, begin: Job, end: Job) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._begin, self._end = begin, end
        self._ended = False
        self._giving = threading.Lock()  # nothing is given after the end
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, job: Job) -> None:
        """Has one of them run a job; raises Unavailable after `close`."""
        with self._giving:
            if self._ended:
                raise Unavailable("the server is ending")
            self._jobs.put(job)

    def close(self) -> None:
        """Waits until everything that was given has been run, and ends them."""
        with self._giving:
            self._ended = True
            for _ in self._threads:
                self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        self._begin()
        while (job := self._jobs.get()) is not None:
            job()
            del job  # what it holds is not to live until the next one comes
        self._end()
