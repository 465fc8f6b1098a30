"""Templates of workflows (contract items.md): a board for each kind of document, with the fields that it has."""

from datetime import timedelta
from typing import Any, NamedTuple

from server.actions.boards import enter
from server.actions.columns import ARCHIVE, INBOX, REVIEW, WORK
from server.actions.item_shapes import Shown
from server.actions.shared_field_types import id_of
from server.actions.workflows import show_all
from server.auth.actors import Actor
from server.encoding import now
from server.store.models import Collection, Column, Field, Workflow
from server.store.transaction import Transaction

COLUMNS = (("Inbox", INBOX), ("Work", WORK), ("Review", REVIEW), ("Archive", ARCHIVE))
Fields = dict[str, str]  # name -> shared field type

SUPPLIER: Fields = {"Supplier Name": "Text", "Supplier VAT Number": "VAT Number"}
CUSTOMER: Fields = {"Customer Name": "Text", "Customer VAT Number": "VAT Number"}
DOCUMENT: Fields = {"Invoice Number": "Text", "Invoice Date": "Date", "Due Date": "Date"}
AMOUNTS: Fields = {"Currency": "Currency", "Total": "Amount", "VAT": "Amount", "Rounding": "Amount"}
PAYMENT: Fields = {"Payment Reference": "Text", "IBAN": "IBAN", "BIC": "BIC"}
LINES: Fields = {"Description": "Text", "Quantity": "Number", "Unit Price": "Amount", "Line Total": "Amount"}


class WorkflowTemplate(NamedTuple):
    name: str
    classification: str
    fields: Fields


TEMPLATES = {
    "api-standard": (
        WorkflowTemplate("Supplier invoices", "SUPPLIER_INVOICE", SUPPLIER | DOCUMENT | AMOUNTS | PAYMENT | LINES),
        WorkflowTemplate("Customer invoices", "CUSTOMER_INVOICE", CUSTOMER | DOCUMENT | AMOUNTS | PAYMENT | LINES),
        WorkflowTemplate("Credit invoices", "CREDIT_INVOICE", SUPPLIER | DOCUMENT | AMOUNTS | LINES),
        WorkflowTemplate("Receipts", "RECEIPT", {"Supplier Name": "Text", "Receipt Date": "Date"} | AMOUNTS),
        WorkflowTemplate("Reminders", "REMINDER", SUPPLIER | DOCUMENT | AMOUNTS | PAYMENT),
        WorkflowTemplate("Other documents", "OTHER", {"Sender": "Text", "Document Date": "Date"}),
    )
}


def apply_template(tx: Transaction, actor: Actor, *, collection_id: str, template_name: str) -> list[Shown]:
    """Makes the workflows of a template with their columns and fields, beside what the collection has; no event. No
    field is required: which ones are is for the workspace to say."""
    collection, workspace = enter(tx, actor, Collection, collection_id)
    made = [make_workflow(collection, template) for template in TEMPLATES[template_name]]
    return show_all(made, {workspace.id: workspace})


def make_workflow(collection: Collection, template: WorkflowTemplate) -> Workflow:
    """One workflow of a template; its fields keep their order by when they were made."""
    place: dict[str, Any] = {"workspace_id": collection.workspace_id}
    workflow: Workflow = Workflow.create(
        **place, collection_id=collection.id, name=template.name, classification=template.classification
    )
    place["workflow_id"] = workflow.id
    Column.insert_many(
        [place | {"name": name, "type": kind, "index": index} for index, (name, kind) in enumerate(COLUMNS)]
    ).execute()
    moment = now()
    Field.insert_many(
        [
            place | {"name": name, "field_type_id": id_of(kind), "created_at": moment + timedelta(microseconds=number)}
            for number, (name, kind) in enumerate(template.fields.items())
        ]
    ).execute()
    return workflow
