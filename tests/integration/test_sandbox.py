"""Worker processes: what a call may take and touch, what becomes of processes, and that others go on meanwhile."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator

import psutil
import pytest

from server.errors import Busy, Refused
from server.sandbox.pool import Sandbox
from server.sandbox.tasks import Task
from tests.support.limits import watch_limits
from tests.support.processes import is_alive
from tests.support.sandbox_tasks import HERE, PATIENT, TASKS

DEADLINE = 10.0  # seconds


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Two workers; afterwards nothing of them is left."""
    running = Sandbox(2, TASKS)
    yield running
    left = children()
    await running.stop()
    assert running.workers == 0 and not any(is_alive(pid) for pid in left)


def children() -> set[int]:
    """All worker processes of this process."""
    mine = psutil.Process().children(recursive=True)
    return {child.pid for child in mine if is_alive(child.pid) and "server.sandbox.worker" in " ".join(child.cmdline())}


async def refusal(sandbox: Sandbox, task: str, *args: object) -> str:
    """The text with which a call was refused."""
    with pytest.raises(Refused) as caught:
        await sandbox.run(task, *args)
    assert caught.value.kind.status == 400
    return str(caught.value.detail)


async def until_ready(sandbox: Sandbox) -> None:
    """Waits for the spare."""
    async with asyncio.timeout(DEADLINE):
        while any(pool.ready.qsize() < len(pool.lives) for pool in sandbox.pools.values()):
            await asyncio.sleep(0.005)


async def test_values_and_bytes_go_in_and_come_out(sandbox: Sandbox) -> None:
    assert sandbox.workers == 0 and children() == set()  # nothing starts before it is needed
    assert await sandbox.run("echo", b"raw", "ü", None, {"a": [1.5, 2**70]}) == [
        "raw",
        "ü",
        None,
        {"a": [1.5, 2.0**70]},
    ]
    assert await sandbox.run("repeat", b"\x00\xff", 3) == b"\x00\xff" * 3
    assert await sandbox.run("repeat", b"x" * 1_000_000, 4) == b"x" * 4_000_000
    await until_ready(sandbox)
    last = await sandbox.run("who")
    await until_ready(sandbox)
    assert await sandbox.run("who") == last
    assert sandbox.workers == 2  # one and a spare


async def test_a_worker_knows_nothing_of_the_server_and_can_open_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "secret")
    monkeypatch.setenv("DATABASE_URL", "postgres://somebody:secret@localhost/")
    around = await sandbox.run("surroundings")
    assert set(around["environ"]) <= {"PYTHONPATH", "LC_CTYPE", "PYTHONHOME", "LD_LIBRARY_PATH"}
    assert around["descriptors"] == [0, 1, 2, 3]  # its link, nothing, the log, its own size
    assert set((await sandbox.run("attempts")).values()) == {"refused"}


@pytest.mark.parametrize(
    ("task", "args", "text", "limits"),
    [
        ("refuse", ("because",), "because", {}),
        ("fail", (), "The evaluation failed.", {}),
        ("no_json", (), "The evaluation failed.", {}),
        ("die", (), "The evaluation failed.", {}),
        ("spin", (), "The evaluation took longer than 250 ms.", {"sandbox_time": 1}),
        ("take", (200 << 20,), "The evaluation needed more than 128 MiB.", {"sandbox_memory": 1}),
        ("repeat", (b"x", 5 << 20), "The result is too large.", {}),
        ("echo", (b"x" * (5 << 20),), "There is more data than 4 MiB.", {}),
        ("echo", ("\udcff",), "A text is not Unicode.", {}),
    ],
)
async def test_a_call_that_cannot_be_answered_is_refused_and_the_next_one_goes_on(
    sandbox: Sandbox, task: str, args: tuple[object, ...], text: str, limits: dict[str, int], caplog: object
) -> None:
    met = watch_limits()
    assert await refusal(sandbox, task, *args) == text
    assert met() == limits
    assert await sandbox.run("echo", 1) == [1]
    assert "a value of a user" not in caplog.text  # type: ignore[attr-defined]


async def test_time_counts_from_the_beginning_of_a_call_and_is_kept(sandbox: Sandbox) -> None:
    """Six that never end on two workers: each has its 250 ms, the last ones waited for theirs."""
    began = time.monotonic()
    texts = await asyncio.gather(*(refusal(sandbox, "spin") for _ in range(6)))
    assert set(texts) == {"The evaluation took longer than 250 ms."}
    assert 0.75 <= time.monotonic() - began < 5


async def test_who_comes_after_a_kill_finds_a_worker_ready(sandbox: Sandbox) -> None:
    await sandbox.run("who")
    await until_ready(sandbox)
    before = children()
    await refusal(sandbox, "spin")
    assert sandbox.pools[TASKS["who"].limits].ready.qsize() == 1
    assert await sandbox.run("who") in before


async def test_fifty_calls_at_once_are_answered_each_with_its_own(sandbox: Sandbox) -> None:
    """Several times, so that workers take the next call in the turn in which the last one is answered: an answer once
    went to whoever asked next."""
    for first in range(0, 500, 50):
        numbers = range(first, first + 50)
        answers = await asyncio.gather(*(sandbox.run("echo", number) for number in numbers))
        assert answers == [[number] for number in numbers]
    assert sandbox.workers <= 3


async def test_others_go_on_while_one_never_ends(sandbox: Sandbox) -> None:
    spinning = asyncio.create_task(refusal(sandbox, "spin"))
    answered = 0
    while not spinning.done():
        await sandbox.run("echo", answered)
        answered += 1
    assert answered > 5
    await spinning


async def test_a_worker_killed_within_a_call_fails_that_call_alone(sandbox: Sandbox) -> None:
    await sandbox.run("patient_who")
    await until_ready(sandbox)
    pid = await sandbox.run("patient_who")
    await until_ready(sandbox)  # who worked last is asked next
    call = asyncio.create_task(refusal(sandbox, "patient_spin"))
    worker = psutil.Process(pid)
    used = worker.cpu_times().user
    async with asyncio.timeout(DEADLINE):
        while worker.cpu_times().user <= used:
            await asyncio.sleep(0.005)
    worker.kill()
    assert await call == "The evaluation failed."
    assert await sandbox.run("patient_who") != pid


async def test_workers_killed_while_they_wait_are_nobodys_failure(sandbox: Sandbox) -> None:
    await sandbox.run("who")
    await until_ready(sandbox)
    for pid in children():
        psutil.Process(pid).kill()
    assert await asyncio.gather(*(sandbox.run("echo", number) for number in range(5))) == [[n] for n in range(5)]


async def test_a_worker_that_keeps_memory_makes_room_for_a_fresh_one(sandbox: Sandbox) -> None:
    """However much calls leave behind, the next one may take as much as the first."""
    pids = {await sandbox.run("keep", 40 << 20) for _ in range(5)}
    assert len(pids) == 5
    assert await sandbox.run("take", 100 << 20) == 100 << 20


async def test_tasks_have_limits_of_their_own(sandbox: Sandbox) -> None:
    assert await sandbox.run("patient_take", 200 << 20) == 200 << 20
    assert await sandbox.run("patient_who") != await sandbox.run("who")
    assert await refusal(sandbox, "patient_take", 300 << 20) == "The evaluation needed more than 256 MiB."


async def test_a_call_waits_no_longer_than_it_is_told() -> None:
    sandbox, met = Sandbox(1, TASKS, patience=0.3), watch_limits()
    await sandbox.run("patient_who")
    spinning = asyncio.create_task(sandbox.run("patient_spin"))
    with pytest.raises(Busy):
        await asyncio.gather(*(sandbox.run("patient_who") for _ in range(3)))
    assert met()["sandbox_queue"] >= 1
    spinning.cancel()  # its caller goes: the process is killed, its place is free
    assert isinstance(await sandbox.run("patient_who"), int)
    await asyncio.gather(spinning, return_exceptions=True)
    await sandbox.stop()


async def test_waiting_calls_hold_no_more_than_their_share(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sandbox.pool.MAX_WAITING", 10_000)
    calls = (sandbox.run("echo", b"x" * 4_000) for _ in range(5))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [list, list, Busy, Busy, Busy]
    assert await sandbox.run("echo", b"x" * 4_000) == ["x" * 4_000]


async def test_one_party_holds_no_more_than_its_share(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sandbox.pool.MAX_SHARE", 10_000)
    calls = (sandbox.run("echo", b"x" * 4_000, whose=whose) for whose in ("many", "many", "many", "one"))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [list, list, Busy, list]
    assert not any(pool.held for pool in sandbox.pools.values())


async def test_workers_that_cannot_start_are_told_in_the_log_and_not_started_without_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sandbox = Sandbox(1, {"none": Task(f"{HERE}:there_is_no_such_task", PATIENT)}, patience=0.5)
    with pytest.raises(Busy):
        await sandbox.run("none")
    await sandbox.stop()
    assert 1 <= caplog.text.count("could not begin: status 1") <= 2


async def test_stopping_ends_workers_within_a_call_and_at_their_start() -> None:
    sandbox = Sandbox(2, TASKS)
    pid = await sandbox.run("patient_who")
    calls = [asyncio.create_task(sandbox.run(task)) for task in ("patient_spin", "patient_spin", "who")]
    await asyncio.sleep(0)
    await sandbox.stop()
    assert not is_alive(pid) and children() == set()
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(Busy):
        await sandbox.run("who")
    gc.collect()  # a process that was not waited for would warn
