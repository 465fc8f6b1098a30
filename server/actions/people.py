"""How users appear to others."""

from server.auth.actors import Actor
from server.events import shapes
from server.store.models import User


def person(user: User | Actor) -> shapes.Person:
    """A user as others see it."""
    name = user.name if isinstance(user, Actor) else user.first_name
    return {"id": user.id, "username": user.email, "first_name": name}
