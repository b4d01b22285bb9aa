"""The command `serve`. Everything heavy is imported inside."""

from __future__ import annotations

import secrets
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
@click.option("--cds-hooks", is_flag=True, help="Answer CDS Hooks 2.0 at /cds-services as well, for programs that send the key printed.")
@click.option("--cds-key", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="With --cds-hooks: keep the key in this file, made where it is not there, so that it stays the same.")
@outputs.audit
@require_signed
@threads_option
@click.option("--device", type=click.Choice(DEVICES), default=ENGINE.device, help="Where the models compute.")
def serve(models: tuple[str, ...], only: bool, port: int, host: str, plain: bool, cds_hooks: bool, cds_key: Path | None,
          audit: Path | None, audit_values: bool, threads: int, device: str) -> int:  # fmt: skip
    """Serve a page on this machine: fill in a record, see its risk, what would change it, and try values by hand.

    Prints the address to open, with a key in it that is new each time. Keeps no record, but for an audit log that is asked for. Ctrl-C
    ends it.
    """
    if only and not models:
        raise click.UsageError("--only needs --model: which ones?")
    if cds_key and not cds_hooks:
        raise click.UsageError("--cds-key belongs to --cds-hooks")
    with terminal.extra("serve"):
        from ..serve import hooks
        from ..serve.models import Models
        from ..serve.server import Place
        from ..serve.server import Serving as made  # noqa: N813

        place = Place(host, port)
        if not place.loopback and not plain:
            raise click.UsageError(f"other machines can reach {host}, and records would cross the network unencrypted; --plain allows it")
        key = secrets.token_urlsafe(32) if cds_hooks else ""
        key = hooks.key_in(cds_key, key) if cds_key else key
        serving = made(Models.of(models, only, threads, device), place, terminal.say, outputs.log_of(audit, audit_values), key)
        for name in ("SIGTERM", "SIGINT"):
            terminal.on_signal(name, serving.stop)
        told = f"the key in {cds_key}" if cds_key else key
        serving.run(lambda url: _ready(url, f"{serving.address.url}{hooks.PATH[1:]}" if key else "", told))
    return 0


def _ready(url: str, services: str, key: str) -> None:
    click.echo(url)
    if services:
        click.echo(f"CDS Hooks: {services}  Authorization: Bearer {key}")
    terminal.say("Open this address in a browser on this machine; it is the only key. Ctrl-C ends it.")
