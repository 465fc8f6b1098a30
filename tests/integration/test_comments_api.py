"""Comments of the items API: said, counted, told, taken back."""

import asyncio
import time
import uuid

from server.parts import STORE
from server.store.models import Comment, Item
from tests.support.app import Server
from tests.support.boards import SPACE_TIME, Board, Connect, brief, refuses_bodies
from tests.support.core_2026 import newcomer


async def test_post_items_id_comments_tells_the_item_once(board: Board, listen: Connect) -> None:
    item = await board.item()
    here, there = await listen(board.ann, board.uuid), await listen(board.ann, board.uuid)
    answer = await board.ann.request(
        "POST", f"/items/{item['id']}/comments", {"text": " Whose is this? 🧾\n"}, headers={"WebSocketId": here.id}
    )
    comment = dict(answer.body)
    assert answer.status == 201
    assert uuid.UUID(comment.pop("id")) and comment.pop("updated_at") == comment["created_at"]
    time.strptime(comment.pop("created_at"), SPACE_TIME)
    assert comment == {"text": "Whose is this? 🧾", "item_id": item["id"], "user_id": board.ann.id}
    ((name, told),) = await there.take(1)
    assert told == await board.ann.ok("GET", f"/items/{item['id']}")
    assert (name, told["comment_count"]) == ("item-updated", 1) and told["updated_at"] > item["updated_at"]
    assert told.items() >= {key: item[key] for key in item if key not in ("comment_count", "updated_at")}.items()
    assert await there.rest() == await here.rest() == []


async def test_get_items_id_comments_pages_oldest_first(board: Board) -> None:
    path = f"/items/{(await board.item())['id']}/comments"
    made = [await board.ann.ok("POST", path, {"text": f"{number}"}) for number in range(4)]
    assert await board.ann.ok("GET", path) == made
    assert await board.ann.ok("GET", f"{path}?limit=2&offset=1") == made[1:3]
    assert await board.ann.ok("GET", f"/items/{(await board.item())['id']}/comments") == []


async def test_delete_comments_id_is_for_its_author_and_admins(server: Server, board: Board, listen: Connect) -> None:
    ann, bob, cid = board.ann, await newcomer(server, "Bob"), await newcomer(server, "Cid")
    for member in (bob, cid):
        await ann.invite(member, board.workspace)
    item = await board.item()
    path = f"/items/{item['id']}/comments"
    one, two, anns = [(await who.ok("POST", path, {"text": "x"}))["id"] for who in (bob, bob, ann)]
    socket, before = await listen(cid, board.uuid), await board.position()
    for who, comment in ((cid, one), (bob, anns)):
        answer = await who.request("DELETE", f"/comments/{comment}")
        assert (answer.status, list(answer.body)) == (403, ["message"])
    assert await board.position() == before
    for left, (who, comment) in zip((2, 1), ((bob, one), (ann, two)), strict=True):
        answer = await who.request("DELETE", f"/comments/{comment.upper()}")
        assert (answer.status, answer.body) == (204, None)
        ((name, told),) = await socket.take(1)
        assert (name, told["id"], told["comment_count"]) == ("item-updated", item["id"], left)
        assert (await who.request("DELETE", f"/comments/{comment}")).status == 404
    assert [each["id"] for each in await cid.ok("GET", path)] == [anns] and await socket.rest() == []


async def test_comments_at_once_are_each_counted_and_told_in_order(board: Board, listen: Connect) -> None:
    item, socket = await board.item(), await listen(board.ann, board.uuid)
    path = f"/items/{item['id']}/comments"
    made = await asyncio.gather(*[board.ann.ok("POST", path, {"text": "x"}) for _ in range(8)])
    await asyncio.gather(*[board.ann.ok("DELETE", f"/comments/{each['id']}") for each in made])
    counts = [told["comment_count"] for _, told in await socket.take(16)]
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert await socket.rest() == [] and await board.ann.ok("GET", path) == []


async def test_locked_and_finalized_items_are_commented_on(server: Server, board: Board) -> None:
    ann, bob = board.ann, await newcomer(server, "Bob")
    await ann.invite(bob, board.workspace)
    item = await board.item()
    path = f"/items/{item['id']}"
    await ann.ok("PATCH", path, {"locked_by_user_id": ann.id})
    await server.app[STORE].write(lambda tx: Item.update(state="finalized").where(Item.id == item["id"]).execute())
    comment = await bob.ok("POST", f"{path}/comments", {"text": "Please let me have it."})
    assert (await bob.request("PATCH", path, {"name": "x"})).status == 409
    assert (await bob.ok("GET", path))["comment_count"] == 1
    assert (await bob.request("DELETE", f"/comments/{comment['id']}")).status == 204


async def test_comments_on_a_deleted_item_stay_as_they_are(board: Board) -> None:
    path = f"/items/{(await board.item())['id']}"
    comment = await board.ann.ok("POST", f"{path}/comments", {"text": "x"})
    await board.ann.ok("DELETE", path)
    before = await board.position()
    assert (await board.ann.request("POST", f"{path}/comments", {"text": "y"})).status == 404
    assert (await board.ann.request("DELETE", f"/comments/{comment['id']}")).status == 404
    assert await board.ann.ok("GET", f"{path}/comments") == [comment]
    assert (await board.ann.ok("GET", path))["comment_count"] == 1 and await board.position() == before


async def test_comments_go_with_the_column_of_their_item(server: Server, board: Board, listen: Connect) -> None:
    one, two = await board.item(), await board.item(column=1)
    gone, kept = [await board.ann.ok("POST", f"/items/{each['id']}/comments", {"text": "x"}) for each in (one, two)]
    socket = await listen(board.ann, board.uuid)
    await board.ann.ok("DELETE", f"/columns/{board.columns[0]}")
    assert brief(await socket.take(1)) == [("item-removed", one["id"])] and await socket.rest() == []
    assert (await board.ann.request("DELETE", f"/comments/{gone['id']}")).status == 404
    assert (await board.ann.ok("GET", f"/items/{one['id']}"))["comment_count"] == 0
    assert await board.ann.ok("GET", f"/items/{two['id']}/comments") == [kept]
    await board.ann.ok("DELETE", f"/collections/{board.collection['id']}")
    assert await server.app[STORE].read(lambda tx: Comment.select().count()) == 0


async def test_comments_errors_leave_nothing(server: Server, board: Board) -> None:
    eve, item = await newcomer(server, "Eve"), await board.item()
    path = f"/items/{item['id']}/comments"
    comment = await board.ann.ok("POST", path, {"text": "x"})
    before = await board.position()
    for body, message in (
        ({}, "text: This field is required."),
        ({"text": " "}, "text: This field may not be blank."),
        ({"text": None}, "text: This field may not be null."),
        ({"text": "x\0"}, "text: Null characters are not allowed."),
        ({"text": "x" * 10_001}, "text: Ensure this field has no more than 10000 characters."),
    ):
        answer = await board.ann.request("POST", path, body)
        assert (answer.status, answer.body) == (400, {"message": message})
    await refuses_bodies(board.ann, path)
    requests = [("GET", path, None), ("POST", path, {"text": "y"}), ("DELETE", f"/comments/{comment['id']}", None)]
    for method, url, body in requests:
        assert (await eve.request(method, url, body)).status == 403
        assert (await server.request(method, url, body)).status == 401
        for unknown in (str(uuid.uuid4()), "x", "x%00y", "null"):
            missing = url.replace(comment["id"], unknown).replace(item["id"], unknown)
            answer = await board.ann.request(method, missing, body)
            assert (answer.status, list(answer.body)) == (404, ["message"]), (method, missing)
    assert await board.position() == before and await board.ann.ok("GET", path) == [comment]
