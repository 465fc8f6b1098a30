"""`demo`: one server, one client of each style, a dozen changes, and a table of who received what and when."""

from server.cli.demo.command import demo

__all__ = ["demo"]
