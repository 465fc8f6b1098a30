"""The state of the other nodes: whatever is lost, repeated or overtaken, it becomes right again, and is said once."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.delivery.presence_focus import Focus
from server.delivery.presence_peers import Member, Peers
from server.encoding import encode

BEAT, EXPIRY = 5.0, 15.0
ANN, BOB = Member("core:table:5", "ann", 1), Member("core:table:5", "bob", 2)


class Net:
    """Carries the messages of some nodes, all of them or those that a test lets through."""

    def __init__(self, *names: str) -> None:
        self.now = 1000.0
        self.sent: list[bytes] = []
        self.soon: list[Callable[[], None]] = []
        self.nodes = [Node(self) for _ in names or "ab"]

    def flow(self) -> None:
        """Delivers to everybody, its sender too, until nobody has anything to say."""
        while self.sent or self.soon:
            for message in self.take():
                for node in self.nodes:
                    node.peers.hear(message)
            calls, self.soon = self.soon, []
            for call in calls:
                call()

    def take(self) -> list[bytes]:
        """What was sent, out of the way of `flow`: lost, unless the test delivers it."""
        sent, self.sent = self.sent, []
        return sent

    def beat(self, *silent: "Node") -> None:
        """Lets a beat pass for all nodes but the silent ones, which run but reach nobody."""
        self.now += BEAT
        for node in self.nodes:
            before = len(self.sent)
            node.peers.turn()
            if node in silent:
                del self.sent[before:]
        self.flow()


class Node:
    """One node: its own members, and what its sockets would have been told."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.here: dict[Member, None] = {}
        self.told: list[tuple[str, Member]] = []
        self.focused: list[tuple[Member, Focus]] = []
        self.peers = Peers(self, EXPIRY, lambda: net.now)

    def members(self) -> list[Member]:
        return list(self.here)

    def announce(self, kind: str, member: Member, focus: Focus | None = None) -> None:
        if focus is not None:
            self.focused.append((member, focus))
        else:
            self.told.append((kind, member))

    def publish(self, message: bytes, *, optional: bool = False) -> None:
        self.net.sent.append(message)

    def soon(self, call: Callable[[], None]) -> None:
        self.net.soon.append(call)

    def join(self, member: Member) -> None:
        self.here[member] = None
        self.peers.join(member)

    def leave(self, member: Member) -> None:
        del self.here[member]
        self.peers.leave(member)

    @property
    def sees(self) -> set[Member]:
        return {member for peer in self.peers.peers.values() for member in peer.members()}


def kinds(net: Net) -> list[str]:
    return [orjson.loads(message)[0] for message in net.sent]


@pytest.fixture
def net() -> Net:
    """Two nodes that know each other."""
    net = Net()
    for node in net.nodes:
        node.peers.subscribed()
    net.flow()
    return net


def test_members_of_one_node_are_told_to_the_other(net: Net) -> None:
    one, two = net.nodes
    one.join(ANN)
    net.flow()
    assert two.told == [("join", ANN)]
    assert two.peers.entries(ANN.room) == [ANN]
    assert two.peers.entries("core:table:6") == []
    one.leave(ANN)
    net.flow()
    assert two.told == [("join", ANN), ("leave", ANN)]
    assert one.told == [], "nobody hears of its own members"
    assert not two.sees


def test_a_node_that_comes_late_learns_who_is_there(net: Net) -> None:
    net.nodes[0].join(ANN)
    net.flow()
    late = Node(net)
    late.join(BOB)
    net.take()  # it was not connected yet
    net.nodes.append(late)
    late.peers.subscribed()
    net.flow()
    assert late.told == [("join", ANN)]
    assert net.nodes[0].told == net.nodes[1].told[1:] == [("join", BOB)]


def test_a_node_not_known_is_asked_whatever_it_said_first(net: Net) -> None:
    one, stranger = net.nodes[0], Node(net)
    stranger.join(BOB)
    net.take()
    net.nodes.append(stranger)
    stranger.leave(BOB)
    stranger.join(ANN)
    net.flow()
    assert one.told == [("join", ANN)]


def test_a_lost_join_is_noticed_by_the_next_number(net: Net) -> None:
    one, two = net.nodes
    one.join(ANN)
    net.take()
    one.join(BOB)
    net.flow()
    assert two.told == [("join", ANN), ("join", BOB)]


def test_a_lost_leave_is_noticed_by_the_beat(net: Net) -> None:
    one, two = net.nodes
    one.join(ANN)
    net.flow()
    one.leave(ANN)
    net.take()
    net.beat()
    assert two.told == [("join", ANN), ("leave", ANN)]


def test_a_lost_question_is_asked_again_with_the_beat_and_not_before(net: Net) -> None:
    one, two = net.nodes
    one.join(ANN)
    net.take()
    for _ in range(3):
        one.join(BOB)
        one.leave(BOB)
    for message in net.take():
        two.peers.hear(message)
    assert kinds(net) == ["ask"]
    net.take()
    net.beat()
    assert two.sees == {ANN}
    net.beat()
    assert two.told == [("join", ANN)]


def test_what_repeats_or_was_overtaken_is_told_once(net: Net) -> None:
    one, two = net.nodes
    one.join(ANN)
    one.peers._say_state()
    early = net.take()
    one.leave(ANN)
    one.join(BOB)
    late = net.take()
    for message in early + late + late + early + early:
        two.peers.hear(message)
    assert two.told == [("join", ANN), ("leave", ANN), ("join", BOB)]
    net.flow()
    assert two.sees == {BOB}


def test_members_of_a_silent_node_leave_when_it_expired_and_return_with_it(net: Net) -> None:
    one, two = net.nodes
    one.join(ANN)
    net.flow()
    for _ in range(3):
        net.beat(one)
        assert two.told == [("join", ANN)]
    net.beat(one)
    assert two.told == [("join", ANN), ("leave", ANN)]
    assert two.peers.entries(ANN.room) == []
    net.beat()
    assert two.told == [("join", ANN), ("leave", ANN), ("join", ANN)]


def test_a_goodbye_is_at_once_and_the_last_word(net: Net) -> None:
    one, two = net.nodes
    one.join(ANN)
    net.flow()
    one.peers.goodbye()
    one.leave(ANN)
    one.peers.turn()
    net.flow()
    assert two.told == [("join", ANN), ("leave", ANN)]
    assert not two.peers.peers


def test_a_process_that_slept_blames_nobody(net: Net) -> None:
    one, two = net.nodes
    one.join(ANN)
    net.flow()
    net.now += 10 * EXPIRY  # SIGSTOP, a suspended laptop
    two.peers.turn()
    assert two.told == [("join", ANN)]
    for _ in range(4):
        net.beat(one)
    assert two.told == [("join", ANN), ("leave", ANN)], "whoever stays silent afterwards is forgotten all the same"


def test_many_questions_in_a_moment_get_one_answer() -> None:
    net = Net(*"abcdefgh")
    for node in net.nodes:
        node.peers.subscribed()
    asked = net.take()
    for message in asked:
        for node in net.nodes:
            node.peers.hear(message)
    assert len(net.soon) == len(net.nodes)
    calls, net.soon = net.soon, []
    net.take()
    for call in calls:
        call()
    assert kinds(net) == ["state"] * len(net.nodes)


def test_a_focus_is_told_of_a_member_and_for_its_table(net: Net) -> None:
    one, two = net.nodes
    one.join(ANN)
    one.peers.focus(ANN, Focus("table", 5, {"row_id": 1}))
    one.peers.focus(BOB, Focus("table", 5, "of nobody"))
    one.peers.focus(ANN, Focus("table", 6, "of a table she does not see"))
    one.peers.focus(ANN, Focus("table", 5, "x" * 5000))
    net.flow()
    assert two.focused == [(ANN, Focus("table", 5, {"row_id": 1}))]


HOSTILE: list[Any] = [
    b"",
    b"garbage",
    b"\xff",
    b"[" * 5000,
    [],
    {},
    None,
    ["join"],
    ["nonsense", "x"],
    [1, 2, 3],
    ["join", "x", "1", "core:table:5", "id", 1],
    ["join", "x", 1, "core:user:5", "id", 1],
    ["join", "x", 1, "core:table:5", "id", "1"],
    ["join", "x", 1, "core:table:5", "id", 1, "more"],
    ["leave", "x", 1, "core:table:5", None],
    ["leave", "x", 1, "core:table:5", "id"],
    ["state", "x", 1, [["core:table:5", "id", 1], ["core:table:5"]]],
    ["state", "x", 1, {"a": 1}],
    ["state", "x", 1, [1]],
    ["focus", "x", "core:table:5", "id", {}],
    ["focus", "x", "core:table:5", "id", 1],
    ["beat", "x", None],
    ["bye", "x"],
    ["bye", ["x"]],
    ["ask", "x", "y"],
    ["ask", "x", {}],
]


@pytest.mark.parametrize("message", HOSTILE)
def test_what_is_not_understood_changes_nothing(net: Net, message: Any) -> None:
    one, two = net.nodes
    one.join(ANN)
    net.flow()
    two.peers.hear(message if isinstance(message, bytes) else encode(message))
    net.flow()
    assert two.told == [("join", ANN)]
    assert two.sees == {ANN}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["join", "leave", "state", "beat", "focus", "ask", "bye"]), st.lists(JSON))))
def test_no_message_raises(messages: list[tuple[str, list[Any]]]) -> None:
    net = Net("a")
    for kind, rest in messages:
        net.nodes[0].peers.hear(encode([kind, *rest]))
        net.nodes[0].peers.hear(encode([kind, "node", *rest]))
    net.beat()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "beat", "subscribed", "deliver", "deliver", "lose", "repeat", "swap"]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=40,
)


def step(net: Net, what: str, node: Node, number: int) -> None:
    """One thing that happens: a member comes or goes, or the net delivers, loses, repeats or swaps messages."""
    member = Member(f"core:table:{number % 2 + 1}", f"{net.nodes.index(node)}-{number}", number)
    if what == "join" and member not in node.here:
        node.join(member)
    elif what == "leave" and member in node.here:
        node.leave(member)
    elif what == "beat":
        net.now += BEAT
        node.peers.turn()
    elif what == "subscribed":
        node.peers.subscribed()
    elif what == "deliver":
        net.flow()
    elif what == "lose" and net.sent:
        del net.sent[number % len(net.sent)]
    elif what == "repeat" and net.sent:
        net.sent.append(net.sent[number % len(net.sent)])
    elif what == "swap":
        net.sent.reverse()


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_after_any_trouble_everybody_sees_everybody(steps: list[tuple[str, int, int]]) -> None:
    net = Net(*"abc")
    for what, who, number in steps:
        step(net, what, net.nodes[who], number)
    net.flow()
    net.beat()
    net.beat()
    for node in net.nodes:
        assert node.sees == {member for other in net.nodes if other is not node for member in other.here}
        for member in {member for _, member in node.told}:
            said = [kind for kind, about in node.told if about == member]
            assert said == (["join", "leave"] * len(said))[: len(said)], "joined and left in turns"
