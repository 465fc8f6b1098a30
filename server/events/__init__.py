"""The catalogue of message types and the names of rooms. Pure: no input, no output, no other room of the house."""

from server.events import control, databases, items, records, workspaces

__all__ = ["control", "databases", "items", "records", "workspaces"]
