"""The tables of docs/security.md say what failed, and survive the names of faults."""

from types import SimpleNamespace
from typing import Any

from tests.support.security_report import cell, section


def case(fault: str) -> Any:
    def test_an_odd_path() -> None: ...

    return SimpleNamespace(
        nodeid=f"tests/security/test_a.py::test_an_odd_path[{fault}]",
        module=SimpleNamespace(__doc__="Odd requests are refused.\n\nMore.\n"),
        function=test_an_odd_path,
        originalname="test_an_odd_path",
        callspec=SimpleNamespace(id=fault),
    )


def test_a_failed_case_and_one_that_did_not_run_are_failures() -> None:
    cases = [case("a"), case("b"), case("c")]
    shown = section("tests/security/test_a.py", cases, {cases[0].nodeid: True, cases[1].nodeid: False})
    assert shown.startswith("\n## tests/security/test_a.py\n\nOdd requests are refused.\n\n| test |")
    assert shown.endswith("| an odd path | a; b; c | 2 of 3 FAILED |\n")


def test_names_of_faults_leave_the_table_whole() -> None:
    assert cell("a|b <script> \n") == r"a\|b \<script> \\n"
