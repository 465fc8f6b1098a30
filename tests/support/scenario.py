"""Scenarios as tables: who asks what, what is answered, and what each socket hears, nothing included.

A `Step` names ids by `{name}`: a text that is nothing else becomes the id itself. What a step expects is a part of
what comes back: objects may have more keys, lists not more items, `...` stands for anything.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.app import Person, RawSocket

serial = itertools.count(1)
NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Step:
    """One request. `told` holds, by socket, the expected messages (types, or objects with `type`); a socket that is
    not in it must hear nothing. `keep` gives ids of the answer names for later steps."""

    label: str
    who: str
    call: str
    body: Any = None
    status: int = 200
    answer: Any = ...
    told: dict[str, Sequence[Any]] = field(default_factory=dict)
    keep: dict[str, str] = field(default_factory=dict)
    socket: str | None = None


def heard_by(sockets: Iterable[str], *messages: Any) -> dict[str, Sequence[Any]]:
    """The same messages for several sockets."""
    return dict.fromkeys(sockets, messages)


@dataclass
class Stage:
    """People, their sockets and the ids that steps name. `workspace` is one whose changes all sockets hear."""

    people: dict[str, Person]
    sockets: dict[str, RawSocket]
    names: dict[str, Any]

    async def play(self, *steps: Step) -> None:
        """Plays the steps one after the other and compares each."""
        for step in steps:
            method, path = self.resolve(step.call).split(" ", 1)
            socket = self.sockets[step.socket] if step.socket else None
            answer = await self.people[step.who].request(method, path, self.resolve(step.body), socket=socket)
            assert answer.status == step.status, (step.label, answer.status, answer.body)
            problems = differences(self.resolve(step.answer), answer.body)
            assert not problems, (step.label, problems, answer.body)
            self.names |= {name: answer.body[key] for name, key in step.keep.items()}
            heard = await self.heard()
            for name, messages in heard.items():
                expected = [{"type": each} if isinstance(each, str) else each for each in step.told.get(name, ())]
                problems = differences(self.resolve(expected), messages)
                assert not problems, (step.label, name, problems, messages)

    async def heard(self) -> dict[str, list[Any]]:
        """What each socket heard since last asked: a change that reaches all of them ends the wait."""
        marker = f"marker {next(serial)}"
        await self.people["ann"].ok("PATCH", f"/api/workspaces/{self.names['workspace']}/", {"name": marker})
        for socket in self.sockets.values():
            await socket.until(lambda socket=socket: any(is_marker(each, marker) for each in socket.messages))
        return {
            name: [each for each in socket.rest() if each["type"] != "group_updated"]
            for name, socket in self.sockets.items()
        }

    def resolve(self, value: Any) -> Any:
        """The value with all names replaced, in keys too."""
        if isinstance(value, str):
            whole = NAME.fullmatch(value)
            return self.names[whole[1]] if whole else NAME.sub(lambda match: str(self.names[match[1]]), value)
        if isinstance(value, dict):
            return {str(self.resolve(key)): self.resolve(each) for key, each in value.items()}
        return [self.resolve(each) for each in value] if isinstance(value, list) else value


def is_marker(message: Any, marker: str) -> bool:
    return message["type"] == "group_updated" and message["workspace"]["name"] == marker


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Where what was found lacks something expected."""
    if expected is ...:
        return []
    if isinstance(expected, dict) and isinstance(found, dict):
        missing = [f"{path}.{key} is missing" for key in expected if key not in found]
        return missing + [
            each for key in expected if key in found for each in differences(expected[key], found[key], f"{path}.{key}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [each for index, pair in pairs for each in differences(*pair, f"{path}[{index}]")]
    same = type(expected) is type(found) and expected == found
    return [] if same else [f"{path}: expected {expected!r}, found {found!r}"]
