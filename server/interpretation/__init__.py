"""From uploaded documents to values: who may interpret what, in which process, and whose turn it is.

What an interpreter needs is in `documents.py`; docs/protocols/items-files.md says how one is registered.
"""
