"""`python -m server`: the commands."""

from server.cli.commands import commands


def main() -> None:
    """Runs the command that the arguments name."""
    commands(prog_name="roomcast")


if __name__ == "__main__":
    main()
