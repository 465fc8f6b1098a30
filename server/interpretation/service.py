"""The documents that one process interprets: when it looks for them, and what becomes of each.

Invariants: at most `workers` documents at once, each known to the database by a lease before it is touched. Whatever an
interpreter does ends in a state of the item: a failure of its own in `error`, one of ours in another attempt. What was
uploaded here is looked at at once; what another process left behind is found by looking every `interval` seconds.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from pydantic import ValidationError

from server import faults
from server.actions import interpretations
from server.actions.files import Files
from server.actions.interpretations import Hold, Job, Waiting
from server.actions.value_checks import answered
from server.errors import EXPRESSION_FAILED, Refused, Unavailable
from server.interpretation.documents import Interpretation
from server.interpretation.registry import DOCUMENT_SIZE, find_interpreters, tasks
from server.metrics import count_interpretation
from server.sandbox.pool import Sandbox, in_mib
from server.store import leases
from server.store.transaction import Store

LEASES = 3  # times a document may take that a lease lasts: what comes before and after has to be done too
PAUSE = 5.0  # seconds after which a document is tried again that could not be interpreted for want of something of ours
MAX_REASON = 500  # characters
logger = logging.getLogger(__name__)


class Pace(NamedTuple):
    """How many documents at once, and in seconds how long each may take and how often others are looked for."""

    workers: int
    timeout: float
    interval: float


class Interpretations:
    """Interprets uploaded documents, as long as it runs. `expressions` evaluates what users wrote; interpreters of
    others have `environ` as their environment."""

    def __init__(self, files: Files, expressions: Sandbox, pace: Pace, environ: Mapping[str, str]) -> None:
        self.store: Store = files.store
        self.files = files
        self.expressions = expressions
        self.pace = pace
        self.hold = Hold(uuid4().hex, LEASES * pace.timeout)
        self.ways = find_interpreters()
        self.sandbox = Sandbox(max(pace.workers, 1), tasks(pace.timeout), pace.timeout, environ)
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._look = asyncio.Event()
        self._rounds: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many documents are being interpreted here."""
        return len(self._tasks)

    def start(self) -> None:
        if self.pace.workers:
            self._rounds = asyncio.create_task(self._survey())

    def wake(self) -> None:
        """Looks at once: there may be another document."""
        self._look.set()

    async def stop(self) -> None:
        """Breaks off what runs, and gives it back so that another process takes it at once."""
        begun = list(self._jobs.values())
        running = [task for task in (self._rounds, *self._tasks.values()) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self.sandbox.stop()
        with contextlib.suppress(Unavailable):
            for job in begun:
                await self.store.write(interpretations.give_back, job, self.hold)
            if running:
                await self.store.write(leases.release_all, holder=self.hold.holder)

    async def _survey(self) -> None:
        while True:
            self._look.clear()
            await guarded(self._fill())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pace.interval):
                    await self._look.wait()

    async def _fill(self) -> None:
        """Takes as many documents as there are workers free."""
        most = self.pace.workers
        if len(self._tasks) == most:
            return
        for waiting in await self.store.read(interpretations.find_waiting, types=self.ways, most=most):
            if waiting.item_id not in self._tasks and len(self._tasks) < most:
                self._tasks[waiting.item_id] = asyncio.create_task(self._serve(waiting))

    async def _serve(self, waiting: Waiting) -> None:
        """Interprets one document, and looks for the next one unless the database failed."""
        try:
            if await guarded(self._interpret(waiting)):
                self._look.set()
        finally:
            del self._tasks[waiting.item_id]

    async def _interpret(self, waiting: Waiting) -> None:
        job = await self.store.write(interpretations.begin_interpretation, waiting, self.hold)
        if job is None:
            return
        faults.reach("interpretation_begun")
        self._jobs[job.item_id] = job
        try:
            count_interpretation(await self._finish(job))
        finally:
            del self._jobs[job.item_id]

    async def _finish(self, job: Job) -> str:
        """Asks the interpreter and keeps what it says; returns what became of the document."""
        try:
            found = await self._ask(job)
            kept = await answered(
                self.expressions,
                lambda answers: self.store.write(
                    interpretations.finish_interpretation, job, self.hold, **found.model_dump(), answers=answers
                ),
                whose=f"workspace {job.workspace_id}",
            )
            return "interpreted" if kept else "dropped"
        except Refused as refusal:
            reason = text_of(refusal)
            logger.warning("item %s, %s: %s", job.item_id, job.file.content_type, reason)
            kept = await self.store.write(interpretations.fail_interpretation, job, self.hold, reason=reason)
            return "failed" if kept else "dropped"
        except Unavailable as error:
            logger.warning("item %s waits: %s", job.item_id, error)
            await self.store.write(interpretations.give_back, job, self.hold, pause=PAUSE)
            return "postponed"

    async def _ask(self, job: Job) -> Interpretation:
        """What the interpreter says of a document. Raises Refused for what it, or we, cannot read, Unavailable."""
        file, (task, arguments) = job.file, self.ways[job.file.content_type]
        if file.size > DOCUMENT_SIZE:
            raise failed(f"The document is larger than {in_mib(DOCUMENT_SIZE)}.")
        try:
            data = b"".join([piece async for piece in self.files.read(file, 0, file.size)])
        except FileNotFoundError:
            raise failed("The document is no longer there.") from None
        head = {"name": file.name, "content_type": file.content_type, "fields": job.fields}
        answer = await self.sandbox.run(task, *arguments, head, data)
        try:
            return Interpretation.model_validate(answer)
        except ValidationError as error:
            wrong = [(*each["loc"], each["msg"]) for each in error.errors(include_input=False)]
            logger.error("item %s: the answer of its interpreter: %s", job.item_id, wrong[:3])
            raise failed("The interpreter has failed.") from None


def failed(text: str) -> Refused:
    return Refused(EXPRESSION_FAILED, text)


def text_of(refusal: Refused) -> str:
    """Why a document was not interpreted, as a text that every database takes."""
    detail = refusal.detail
    text = "; ".join(map(str, detail.values())) if isinstance(detail, dict) else str(detail)
    return text.replace("\0", "")[:MAX_REASON]


async def guarded(work: Coroutine[Any, Any, None]) -> bool:
    """Whether `work` came to its end, since no failure ends the service."""
    try:
        await work
    except Unavailable as error:
        logger.warning("interpretations: %s", error)
        return False
    except Exception:
        logger.exception("interpretations failed")
        return False
    return True
