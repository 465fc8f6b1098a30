"""Clients of every style that come back after each loss, as an application's client would, and keep a history."""
