"""`GET /metrics`: what Prometheus reads, and who may."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from server.metrics import Limit
from tests.support.app import Answer, running_server
from tests.support.core_2026 import newcomer


def samples(answer: Answer) -> dict[str, float]:
    """Values by name, with the label of a limit behind a dot."""
    families = text_string_to_metric_families(answer.body)
    return {
        ".".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


async def test_the_machine_itself_reads_every_limit_and_gauge(tmp_path: Path) -> None:
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", trusted_proxies=1) as server:
        ann = await newcomer(server, "Ann")
        await ann.workspace()
        await ann.core_socket()
        answer = await server.request("GET", "/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        found = samples(answer)
        assert {f"roomcast_limits_met_total.{limit}" for limit in Limit} <= found.keys()
        shown = {name: found[f"roomcast_{name}"] for name in ("websockets", "subscribers", "users", "rooms")}
        assert shown == {"websockets": 1, "subscribers": 1, "users": 1, "rooms": 2}
        assert found["roomcast_log_position"] == await server.log_position() > 0
        assert found["roomcast_requests"] == 1
        assert found["process_open_fds"] > 0
        assert "token" not in answer.body
        assert ann.email not in answer.body
        for header in ("X-Forwarded-For", "Forwarded"):
            for address in ("203.0.113.5", "127.0.0.1"):
                assert (await server.request("GET", "/metrics", headers={header: address})).status == 404


async def test_with_a_token_whoever_brings_it_reads_them_and_nobody_else(tmp_path: Path) -> None:
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", metrics_token="a-token") as server:
        for given in ("", "Bearer", "Bearer a-toke", "Bearer a-token2", "Bearer \udcff", "a-token"):
            assert (await server.request("GET", "/metrics", headers={"Authorization": given})).status == 401, given
        headers = {"Authorization": "Bearer a-token", "X-Forwarded-For": "203.0.113.5"}
        assert (await server.request("GET", "/metrics", headers=headers)).status == 200
