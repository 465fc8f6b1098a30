"""Where expressions of users run: processes of their own that have neither time, memory nor files to do harm with.

This file stays empty: the worker processes import it too, and are to start quickly.
"""
