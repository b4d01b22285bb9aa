"""The command `serve`. Everything heavy is imported inside."""

from __future__ import annotations

from pathlib import Path

import click

from ..settings import DEVICES, ENGINE, SERVE
from . import outputs, terminal
from .options import require_signed, threads_option


@click.command()
@click.option("--model", "models", multiple=True, help="A bundle's folder to offer, or the shipped model to begin with. Repeatable.")
@click.option("--only", is_flag=True, help="Offer no other model than those named.")
@click.option("--port", type=click.IntRange(0, 65535), default=SERVE.port, help="0 for any that is free.")
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Address of this machine to listen on.")
@click.option("--plain", is_flag=True, help="Allow an address that other machines can reach: records then cross the network unencrypted.")
@outputs.audit
@require_signed
@threads_option
@click.option("--device", type=click.Choice(DEVICES), default=ENGINE.device, help="Where the models compute.")
def serve(models: tuple[str, ...], only: bool, port: int, host: str, plain: bool, audit: Path | None, audit_values: bool, threads: int,
          device: str) -> int:  # fmt: skip
    """Serve a page on this machine: fill in a record, see its risk, what would change it, and try values by hand.

    Prints the address to open, with a key in it that is new each time. Keeps no record, but for an audit log that is asked for. Ctrl-C
    ends it.
    """
    if only and not models:
        raise click.UsageError("--only needs --model: which ones?")
    with terminal.extra("serve"):
        from ..serve.models import Models
        from ..serve.server import Place
        from ..serve.server import Serving as made  # noqa: N813

        place = Place(host, port)
        if not place.loopback and not plain:
            raise click.UsageError(f"other machines can reach {host}, and records would cross the network unencrypted; --plain allows it")
        serving = made(Models.of(models, only, threads, device), place, terminal.say, outputs.log_of(audit, audit_values))
        for name in ("SIGTERM", "SIGINT"):
            terminal.on_signal(name, serving.stop)
        serving.run(_ready)
    return 0


def _ready(url: str) -> None:
    click.echo(url)
    terminal.say("Open this address in a browser on this machine; it is the only key. Ctrl-C ends it.")
