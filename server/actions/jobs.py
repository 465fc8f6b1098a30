"""Jobs: work that the database API answers with something to poll. Ours is done before the answer is sent."""

from collections.abc import Collection
from typing import Any

from server.auth.actors import Actor
from server.errors import NO_JOB, Refused
from server.events import rooms
from server.events.databases import JobStarted
from server.store.models import Job
from server.store.transaction import Transaction

MAX_LISTED = 100


def show_job(job: Job) -> dict[str, Any]:
    """The common keys, then those of the type."""
    return {
        "id": job.id,
        "type": job.type,
        "progress_percentage": job.progress_percentage,
        "state": job.state,
        "human_readable_error": job.human_readable_error,
        **job.data,
    }


def start_job(tx: Transaction, actor: Actor, kind: str, **data: Any) -> Job:
    """A pending job; the user's other sockets are told that it started."""
    job: Job = Job.create(user_id=actor.id, type=kind, data=data)
    started = JobStarted({**show_job(job), "state": "started"})
    tx.record(started, rooms.user(actor.id), origin=actor.origin)
    return job


def finish_job(job: Job, **data: Any) -> None:
    """Marks a job as done, with its result."""
    done = Job.update(state="finished", progress_percentage=100, data={**job.data, **data})
    done.where(Job.id == job.id).execute()


def get_job(tx: Transaction, actor: Actor, *, job_id: int) -> dict[str, Any]:
    """A job of the actor; raises Refused."""
    job = Job.find(id=job_id, user_id=actor.id)
    if job is None:
        raise Refused(NO_JOB)
    return show_job(job)


def list_jobs(
    tx: Transaction, actor: Actor, *, states: Collection[str], job_ids: Collection[int]
) -> list[dict[str, Any]]:
    """The actor's jobs, newest first; a state may be left out with `!state`."""
    query = Job.select().where(Job.user_id == actor.id)
    wanted = [state for state in states if not state.startswith("!")]
    left_out = [state[1:] for state in states if state.startswith("!")]
    if wanted:
        query = query.where(Job.state.in_(wanted))
    if left_out:
        query = query.where(Job.state.not_in(left_out))
    if job_ids:
        query = query.where(Job.id.in_(job_ids))
    return [show_job(job) for job in query.order_by(Job.id.desc()).limit(MAX_LISTED)]
