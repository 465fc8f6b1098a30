"""The worker processes of a server, and the calls that wait for them.

Invariants: no more calls run at once than the setting says; beside them one process is ready, so that who comes after
a kill does not wait for a new one to start. Nothing starts before the first call. Calls wait a bounded time and hold a
bounded amount of memory; the parties whose calls they are take turns, and none holds all of that memory. A process that
was not asked is nobody's failure, a call that had begun is never repeated.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from server.errors import EXPRESSION_FAILED, Busy, Refused
from server.metrics import Limit, met
from server.sandbox.frames import BROKEN, NO_MEMORY, REFUSED, pack
from server.sandbox.process import Answer, Call, WorkerProcess, start_process
from server.sandbox.tasks import TASKS, Limits, Task
from server.sandbox.turns import Turns

PATIENCE = 5.0  # seconds that a call waits for its turn
PAUSE = 1.0  # seconds until a process that could not begin is replaced
MAX_WAITING = 64 << 20  # bytes of all calls that wait or run
MAX_SHARE = 16 << 20  # bytes of those of one party
FAILED = "The evaluation failed."
logger = logging.getLogger(__name__)


class Sandbox:
    """Runs tasks in worker processes, `workers` calls at once with the same limits; `patience` is how many seconds a
    call may wait for its turn. Processes that are not confined have `environ` as their environment."""

    def __init__(
        self,
        workers: int,
        tasks: Mapping[str, Task] = TASKS,
        patience: float = PATIENCE,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.tasks = tasks
        self.pools = {
            limits: Pool(workers, {name: each.function for name, each in tasks.items() if each.limits == limits},
                         limits, patience, MappingProxyType({}) if limits.confined else environ)
            for limits in {task.limits for task in tasks.values()}
        }  # fmt: skip

    async def run(self, task: str, *args: Any, whose: str = "") -> Any:
        """What a task of `tasks.py` makes of JSON-able values or bytes; `whose` is the party that takes its turn.
        Raises Refused where it refuses, fails or meets one of its limits, Busy when there was no worker in time."""
        return await self.pools[self.tasks[task].limits].run(whose, task, *args)

    @property
    def workers(self) -> int:
        """Processes that were started and have not ended."""
        return sum(len(pool.lives) for pool in self.pools.values())

    async def stop(self) -> None:
        """Ends all processes, whatever they do; returns when nothing is left of them."""
        await asyncio.gather(*(pool.stop() for pool in self.pools.values()))


class Pool:
    """The processes of tasks with the same limits."""

    def __init__(
        self, size: int, functions: Mapping[str, str], limits: Limits, patience: float, environ: Mapping[str, str]
    ) -> None:
        self.functions = functions
        self.environ = environ
        self.limits = limits
        self.patience = patience
        self.turns = Turns(size)
        self.running = 0
        self.wanted = 0
        self.held: Counter[str] = Counter()  # bytes by party
        self.ready: asyncio.LifoQueue[WorkerProcess] = asyncio.LifoQueue()
        self.lives: set[asyncio.Task[None]] = set()
        self.stopping = False

    async def run(self, whose: str, task: str, *args: Any) -> Any:
        """See `Sandbox.run`."""
        try:
            request = pack(task, *args)
        except UnicodeEncodeError:
            raise Refused(EXPRESSION_FAILED, "A text is not Unicode.") from None
        if len(request) > self.limits.size:
            raise Refused(EXPRESSION_FAILED, f"There is more data than {in_mib(self.limits.size)}.")
        if self.stopping:
            raise busy()
        with self.hold(whose, len(request)):
            return self.read(await self.ask(whose, request))

    @contextlib.contextmanager
    def hold(self, whose: str, size: int) -> Iterator[None]:
        """Counts the bytes of a call while it waits or runs; raises Busy."""
        if self.held.total() + size > MAX_WAITING or (whose and self.held[whose] + size > MAX_SHARE):
            raise busy()
        self.held[whose] += size
        try:
            yield
        finally:
            self.held[whose] -= size
            self.held += Counter()  # forgets who holds nothing

    async def ask(self, whose: str, request: bytes) -> Answer | None:
        """The answer of a worker; None when it ended instead. Raises Refused for what takes too long, and Busy."""
        try:
            async with asyncio.timeout(self.patience) as patience, self.turn(whose):
                call = None
                while call is None:
                    worker = await self.next_ready()
                    call = await worker.begin(request)
                patience.reschedule(None)
                return await self.finish(worker, call)
        except TimeoutError:
            raise busy() from None

    async def finish(self, worker: WorkerProcess, call: Call) -> Answer | None:
        try:
            return await worker.finish(call, self.limits.seconds)
        except TimeoutError:
            met(Limit.SANDBOX_TIME)
            raise Refused(EXPRESSION_FAILED, f"The evaluation took longer than {shown(self.limits.seconds)}.") from None

    def read(self, answer: Answer | None) -> Any:
        """The result in an answer; raises Refused."""
        kind, value = (*(answer or [BROKEN]), None)[:2]
        if kind == NO_MEMORY:
            met(Limit.SANDBOX_MEMORY)
            raise Refused(EXPRESSION_FAILED, f"The evaluation needed more than {in_mib(self.limits.memory)}.")
        if kind == BROKEN:
            logger.error("task failed: %s", value or "its process ended")
            raise Refused(EXPRESSION_FAILED, FAILED)
        if kind == REFUSED:
            raise Refused(EXPRESSION_FAILED, value)
        return value

    @contextlib.asynccontextmanager
    async def turn(self, whose: str) -> AsyncIterator[None]:
        """One of the places of calls that run."""
        async with self.turns.turn(whose):
            self.running += 1
            try:
                yield
            finally:
                self.running -= 1

    async def next_ready(self) -> WorkerProcess:
        """A process that waits for a call; the one that worked last, since its memory is warm."""
        self.refill()
        while (worker := await self.ready.get()).ended.is_set():
            pass
        return worker

    def refill(self) -> None:
        """Lets there be a process for each call that runs, and one more; there will not be fewer later."""
        self.wanted = max(self.wanted, self.running + 1)
        while len(self.lives) < self.wanted and not self.stopping:
            life = asyncio.create_task(self.live())
            self.lives.add(life)
            life.add_done_callback(self.forget)

    def forget(self, life: "asyncio.Task[None]") -> None:
        """A process has gone; another one takes its place."""
        self.lives.discard(life)
        self.refill()

    async def live(self) -> None:
        """The life of one process, from its start until nothing is left of it."""
        try:
            worker = await start_process(self.functions, self.limits, self.ready.put_nowait, self.environ)
        except OSError as error:
            logger.error("cannot start a worker process: %s", error)
            await asyncio.sleep(PAUSE)
            return
        try:
            await worker.ended.wait()
        finally:
            status = await worker.reap()
        if not worker.was_ready:
            logger.error("a worker process could not begin: status %d", status)
            await asyncio.sleep(PAUSE)

    async def stop(self) -> None:
        self.stopping = True
        for life in self.lives:
            life.cancel()
        await asyncio.gather(*self.lives, return_exceptions=True)


def busy() -> Busy:
    """Counts that a call had no turn."""
    met(Limit.SANDBOX_QUEUE)
    return Busy("no worker process in time")


def shown(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:g} s"


def in_mib(size: int) -> str:
    return f"{size >> 20} MiB"
