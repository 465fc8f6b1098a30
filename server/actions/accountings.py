"""Accounting entries of an item (contract items.md): those it was finalized with, and those its values suggest."""

import uuid
from decimal import Decimal

from server.actions.boards import look_at
from server.actions.item_shapes import Shown, stamp
from server.auth.actors import Actor
from server.store.item_values import read_values
from server.store.models import Collection, Column, Item, Workflow
from server.store.transaction import Transaction

TOTAL = "Total"
PREDEFINED = (TOTAL, "VAT", "Rounding")  # what an account can be predefined for: the names of fields
SUPPLIER_INVOICE = "SUPPLIER_INVOICE"
NOTHING = "0.00"
CENT = Decimal("0.01")


def list_accountings(tx: Transaction, actor: Actor, *, item_id: str) -> list[Shown]:
    """The entries with which the item was finalized, none before."""
    item, _ = look_at(actor, Item, item_id)
    return [show(item, entry) for entry in item.accountings]


def list_predefined(tx: Transaction, actor: Actor, *, item_id: str) -> list[Shown]:
    """An entry for each predefined account of the collection; debit and credit are null as long as the item has no
    such amount. Supplier invoices only."""
    item, _ = look_at(actor, Item, item_id)
    collection = Collection.find(id=item.collection_id)
    if collection is None or not is_supplier_invoice(item):
        return []
    amounts = {value["field_name"]: value["value"] for value in read_values(tx, [item.id])[item.id]}
    times = {"created_at": stamp(item.created_at), "updated_at": stamp(item.updated_at)}
    return [
        show(item, times | suggest(item, each["name"], each["account"], amounts.get(each["name"], "")))
        for each in collection.predefined_accounts
    ]


def is_supplier_invoice(item: Item) -> bool:
    """By what the item was found to be, else by its workflow."""
    if item.document_type is not None:
        return bool(item.document_type == SUPPLIER_INVOICE)
    column = Column.find(id=item.column_id)
    workflow = Workflow.find(id=column.workflow_id) if column is not None else None
    return workflow is not None and workflow.classification == SUPPLIER_INVOICE


def suggest(item: Item, name: str, account: str, value: str) -> Shown:
    """What is owed stands on the credit side, tax and rounding on the debit side; negative amounts on the other."""
    try:
        amount = Decimal(value).quantize(CENT)
        on_credit = (name == TOTAL) != (amount < 0)
    except ArithmeticError:  # no number, or NaN
        debit = credit = None
    else:
        debit, credit = (NOTHING, str(abs(amount))) if on_credit else (str(abs(amount)), NOTHING)
    return {"id": str(uuid.uuid5(uuid.UUID(item.id), name)), "account": account, "debit": debit, "credit": credit}


def show(item: Item, entry: Shown) -> Shown:
    """An entry as it is answered: with all keys, its dimensions flat."""
    known = entry | entry.get("dimensions", {})
    return {
        "id": known["id"],
        "account": known["account"],
        "debit": known.get("debit"),
        "credit": known.get("credit"),
        "created_at": known["created_at"],
        "updated_at": known["updated_at"],
        "cost_center": known.get("cost_center"),
        "project": known.get("project"),
        "transaction_information": known.get("transaction_information"),
        "is_accrual": known.get("is_accrual", False),
        "item_id": item.id,
    }
