"""Passwords, tokens, actors, permissions, origins."""
