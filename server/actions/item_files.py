"""The files from which items were made (contract items.md): each belongs to one item and ends with it."""

from typing import Any

from server.actions.boards import UUID, look_at_workspace, own_workspaces
from server.actions.files import FoundFile, Received, find_file, keep_file, release_files
from server.auth.actors import Actor
from server.errors import NO_FILE, NOT_IN_WORKSPACE, Refused
from server.store.models import Item
from server.store.transaction import Transaction


def open_upload(tx: Transaction, actor: Actor) -> None:
    """Raises Refused for an actor who has no workspace to put an item into: before many megabytes are read in vain."""
    if not own_workspaces(actor):
        raise Refused(NOT_IN_WORKSPACE)


def keep_original(tx: Transaction, file: Received) -> dict[str, str]:
    """What a new item has of its file, which stays from now on."""
    return {"original_file_id": keep_file(tx, file), "original_file_type": file.content_type}


def find_item_file(tx: Transaction, actor: Actor, *, file_id: str) -> FoundFile:
    """The file of an item, for a member of its workspace; raises Refused."""
    wanted = file_id.lower()
    item = Item.find(original_file_id=wanted) if UUID.fullmatch(wanted) else None
    if item is None:
        raise Refused(NO_FILE)
    look_at_workspace(actor, item.workspace_id)
    file = find_file(tx, wanted)
    if file is None:
        raise Refused(NO_FILE)
    return file


def release_originals(tx: Transaction, where: Any) -> None:
    """Lets the files of some items go."""
    with_file = where & Item.original_file_id.is_null(False)
    release_files(tx, Item.select(Item.original_file_id).where(with_file))
    Item.update(original_file_id=None, original_file_type=None).where(with_file).execute()
