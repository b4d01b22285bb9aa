"""Commands by name, each imported when it is called: what `--help` says of all of them costs no import."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "audit": ("audit", "audit", "Look an audit log through, and note what came of an answer."),
    "augment": ("augment", "augment", "Make training rows of a class that a table is short of."),
    "batch": ("batch", "batch", "Explain every record of a table."),
    "compare": ("compare", "compare", "Ask other packages about the same unseen people."),
    "compare-pool": ("compare", "pool", "Pool what several runs of `compare` found."),
    "days": ("days", "days", "Make daily records from raw exports of sensors."),
    "evaluate": ("build", "evaluate", "Measure a model on people it has not seen."),
    "export": ("export", "export", "Models in other formats: GGUF, smaller GGUF, ONNX."),
    "fit": ("build", "fit", "Make a model of a table."),
    "schema": ("build", "schema", "Draft and check what a record may hold and what may change."),
    "serve": ("serve", "serve", "Serve a page on this machine, for records and answers."),
    "watch": ("watch", "watch", "Explain records or readings as they come: standard input, MQTT."),
}
"""Name: the module of this package, its function, and what the list of commands says of it."""


class Commands(click.Group):
    """A group that has those of `COMMANDS` as well."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the alphabet."""
        return sorted({*self.commands, *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None where there is none."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, function, _ = COMMANDS[cmd_name]
        found: click.Command = getattr(import_module(f"{__package__}.{module}"), function)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What `--help` says of each."""
        told = {name: command.get_short_help_str(80) for name, command in self.commands.items()}
        told |= {name: text for name, (_, _, text) in COMMANDS.items()}
        with formatter.section("Commands"):
            formatter.write_dl([(name, told[name]) for name in self.list_commands(ctx)])
