"""The HTTP resources, one file each: parse, name the actor, call one action, render."""
