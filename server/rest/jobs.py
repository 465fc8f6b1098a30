"""Jobs of the user (contract database.md, h)."""

from aiohttp import web

from server.actions import jobs
from server.rest.context import look, path_id, respond
from server.rest.paging import number

routes = web.RouteTableDef()


@routes.get("/api/jobs/")
async def list_jobs(request: web.Request) -> web.Response:
    states = [state for state in request.query.get("states", "").replace("\0", "").split(",") if state]
    job_ids = [number(text, 0) for text in request.query.get("job_ids", "").split(",") if text]
    return respond({"jobs": await look(request, jobs.list_jobs, states=states, job_ids=job_ids)})


@routes.get(r"/api/jobs/{job_id:\d+}/")
async def get_job(request: web.Request) -> web.Response:
    return respond(await look(request, jobs.get_job, job_id=path_id(request, "job_id")))
