"""A blocking client of the REST API, for preparing what is measured."""

import http.client
import json
from typing import Any, Self

PASSWORD = "password-1234"


class Person:
    """An account with a connection of its own."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.token, self.email, self.id = "", "", 0

    @classmethod
    def sign_up(cls, port: int, name: str) -> Self:
        person = cls(port)
        person.email = f"{name}@example.com"
        body = {"name": name, "email": person.email, "password": PASSWORD, "authenticate": True}
        answer = person.call("POST", "/api/user/", body)
        person.token, person.id = answer["access_token"], answer["user"]["id"]
        return person

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The body of the answer; RuntimeError when the request is refused."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"JWT {self.token}"
        self.http.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self.http.getresponse()
        text = answer.read()
        if answer.status // 100 != 2:
            raise RuntimeError(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text else None

    def workspace(self) -> int:
        """The workspace that came with the account."""
        return int(self.call("GET", "/api/workspaces/")[0]["id"])

    def invite(self, other: "Person", workspace: int) -> None:
        """Makes somebody a member."""
        body = {"email": other.email, "permissions": "MEMBER", "base_url": "http://127.0.0.1", "message": ""}
        invitation = self.call("POST", f"/api/workspaces/invitations/workspace/{workspace}/", body)
        other.call("POST", f"/api/workspaces/invitations/{invitation['id']}/accept/")

    def database(self, workspace: int) -> int:
        body = {"name": "Base", "type": "database"}
        return int(self.call("POST", f"/api/applications/workspace/{workspace}/", body)["id"])

    def table(self, database: int) -> int:
        body = {"name": "Table", "data": [["Name"], ["first"]], "first_row_header": True}
        return int(self.call("POST", f"/api/database/tables/database/{database}/", body)["id"])
