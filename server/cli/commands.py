"""All commands, one file each."""

import typer

from server.cli.accounts import create_user, end_account, token
from server.cli.check_files import check_files
from server.cli.config import config
from server.cli.demo import demo
from server.cli.migrate import migrate
from server.cli.new_epoch import new_epoch
from server.cli.serve import serve

commands = typer.Typer(
    help="Roomcast: every committed change, told once and in order to everyone entitled to know.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # tracebacks go through the log, which redacts them
)
for command in (serve, migrate, config, create_user, end_account, token, new_epoch, check_files, demo):
    commands.command()(command)
