"""A project with users of its own: an authentication endpoint, a secure one, and people who are logged in."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from server.actions import records
from server.auth.visitors import COOKIE, Visitor
from server.parts import STORE
from server.rest.context import TOKENS
from server.store.models import RecordSession, RecordUser
from tests.support.app import PASSWORD, Answer, RawSocket, Server
from tests.support.core_2026 import password_hash
from tests.support.records import RunningEndpoint, running_endpoint

PAGE, OTHER = "https://app.example.com", "https://evil.example"
MISSING, INVALID = "The access token is missing.", "The access token is invalid."


@dataclass
class RecordPerson:
    """A user of a project, logged in."""

    id: int
    name: str
    unique_id: str
    token: str

    @property
    def header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"{COOKIE}={self.token}"}

    async def ok(self, endpoint: RunningEndpoint, method: str, body: Any = None, **more: Any) -> Any:
        """The body of a request that must succeed."""
        return await endpoint.ok(method, body, headers=self.header, **more)

    async def call(self, endpoint: RunningEndpoint, method: str, body: Any = None, **more: Any) -> Answer:
        return await endpoint.call(method, body, headers=self.header, **more)

    async def listening(self, endpoint: RunningEndpoint, **more: Any) -> RawSocket:
        return await endpoint.listening(accessToken=self.token, **more)


@dataclass
class Club:
    """`people` authenticates, `vault` is secure."""

    server: Server
    people: RunningEndpoint
    vault: RunningEndpoint

    async def join(self, name: str = "ann", people: RunningEndpoint | None = None) -> RecordPerson:
        """A new user, registered and logged in without the work of hashing a password."""
        endpoint, store = people or self.people, self.server.app[STORE]
        visitor = Visitor(endpoint.project["key"], None, endpoint.project["master_key"])
        register = partial(records.create_record, name=endpoint.shown["name"], password=password_hash())
        made = await store.write(register, visitor, data=f'{{"username":"{name}"}}'.encode())
        (number,) = await store.read(lambda tx: [each.record_id for each in RecordUser.select()][-1:])
        return RecordPerson(number, name, made["uniqueId"], await self.session(number, endpoint))

    async def session(self, user_id: int, people: RunningEndpoint | None = None) -> str:
        """One more token of a user."""
        project = (people or self.people).project["id"]
        token, claims = self.server.app[TOKENS].record_user(user_id, project)
        row = {"jti": claims.jti, "user_id": user_id, "project_id": project, "expires_at": claims.expires_at}
        await self.server.app[STORE].write(lambda tx: RecordSession.create(**row))
        return token

    async def log_in(self, body: Any, *, headers: dict[str, str] | None = None, **query: Any) -> Answer:
        return await self.people.call("POST", body, login="true", headers=headers, **query)


async def make_club(server: Server, *, access: dict[str, bool] | None = None, **project: Any) -> Club:
    first = await running_endpoint(server, **project)
    people = await first.another("club/people", authentication=True)
    vault = await first.another("club/vault", secure=True, access=access or {})
    return Club(server, people, vault)


def credentials(name: str = "ann", password: str = PASSWORD) -> dict[str, str]:
    return {"username": name, "password": password}


def refusal(answer: Answer) -> tuple[int, str]:
    """Status and message; the body has nothing else."""
    assert answer.body == {"error": {"code": answer.status, "message": answer.body["error"]["message"]}}
    return answer.status, answer.body["error"]["message"]
