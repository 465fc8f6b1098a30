"""Every style in which a client can ask for what is above a position, and what it asks for on the stage."""

from collections.abc import Sequence
from typing import Any

from tests.faults.clients.newcomers import CORE, ITEMS, RECORDS, STREAMS, TABLE, Newcomer
from tests.faults.crowd import Crowd
from tests.faults.history import Interest
from tests.faults.stage import Stage

Style = tuple[type[Newcomer], Sequence[Interest], dict[str, Any]]


def styles_of(stage: Stage) -> list[Style]:
    """All of them, for Bob."""
    core = stage.core(stage.bob)
    styles: list[Style] = [(kind, core, {}) for kind in CORE]
    styles += [(kind, core[:1], {}) for kind in TABLE]
    styles += [(kind, stage.items(), {}) for kind in ITEMS]
    styles += [(kind, stage.records(), {"path": stage.endpoint_path}) for kind in RECORDS]
    styles += [(kind, stage.stream(), {}) for kind in STREAMS]
    return styles


def newcomer(
    crowd: Crowd, start: Any, kind: type[Newcomer], interests: Sequence[Interest], more: dict[str, Any]
) -> Newcomer:
    """A client of a style with a position, or with anything in its place; it is not started."""
    return kind(f"from {start}", crowd.access, crowd.stage.login(crowd.stage.bob), interests, start, **more)
