"""What can be done: one file a thing, one function a change, `verb_thing(tx, actor, …)`."""
