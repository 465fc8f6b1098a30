"""Faults: servers that die, clients that drop and return, and proof that nothing was lost, doubled or swapped.

A scenario has four parts: a `Cluster` of real server processes, a `Crowd` of clients of every style and of writers, a
fault, and the checker, which compares what each client was told with the log itself.
"""
