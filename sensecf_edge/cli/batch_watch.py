"""The long-running commands, `batch` and `watch`, and what they share with `main`. Everything heavy is imported inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..settings import BATCH, WATCH
from . import terminal
from .options import choice_of, constraints_of, encoding, generators, request, tried_model

if TYPE_CHECKING:
    pass

NOTHING_USABLE, NONE_FOUND = 2, 3


@click.command()
@click.argument("source", metavar="INPUT", required=False)
@click.option("-o", "--output", required=True, metavar="OUTPUT", help=".csv, .jsonl or .parquet; - for standard output.")
@request
@generators
@click.option("--id", "id_column", metavar="COLUMN", help="Column that names the records.  [default: the row number]")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Column to pass over. Repeatable.")
@encoding
@click.option("--layout", type=click.Choice(["long", "wide", "json"]),
              help="A row per change, a row per answer, or whole Explanations.  [default: long; json for .jsonl]")  # fmt: skip
@click.option("--rejects", metavar="FILE", help="CSV of the records that could not be used.  [default: OUTPUT.rejects.csv]")
@click.option("--workers", type=click.IntRange(1, 256), default=1, help="Processes, each with an engine of its own.")
@click.option("--ray", metavar="[ADDRESS]", is_flag=False, flag_value="", help="Run the workers on Ray: local, or a cluster's address.")
@click.option("--chunk", type=click.IntRange(1, 100_000), default=BATCH.chunk, help="Rows answered and written together.")
@click.option("--resume", is_flag=True, help="Go on where the same command was interrupted.")
@click.option("--force", is_flag=True, help="Replace OUTPUT, or start an interrupted job again.")
def batch(source: str | None, output: str, **options: Any) -> int:
    """Explain every record of INPUT, a table: CSV, JSON Lines, Parquet, or - for standard input.

    Results come in the order of the input. Interrupted in any way, the same command with --resume loses no row and
    doubles none. Exit code 2: no record could be used; 3: none was fine or found an answer.
    """
    if options["resume"] and options["force"]:
        raise click.UsageError("give --resume to go on or --force to start again, not both")
    if source is None:  # `--ray INPUT`: what stands behind --ray is the table, unless it looks like the address of a cluster
        source, options["ray"] = options["ray"], ""
        if not source or "://" in source or source.rpartition(":")[2].isdigit():
            raise click.UsageError("say which table: batch INPUT -o OUTPUT, or - for standard input")
    with terminal.extra("ray" if options["ray"] is not None else "batch"):
        from ..batch.job import Job, run
        from ..batch.records import OtherColumns
        from ..budget import Budget

        job = Job(
            source, output, tried_model(options["model"]), options["layout"], options["rejects"],
            columns=OtherColumns(options["id_column"], frozenset(options["drop"])),
            budget=Budget(options["answers"], seed=options["seed"]),
            constraints=constraints_of(options), generator=choice_of(options),
            **{k: options[k] for k in ("base_rate", "workers", "chunk", "ray", "resume", "force")},
        )  # fmt: skip
        counts = run(job, terminal.say)
    if counts and not sum(counts[status] for status in ("found", "none", "already", "depends")):
        return NOTHING_USABLE
    return NONE_FOUND if counts and not counts["answered"] + counts["already"] else 0


@click.command()
@request
@click.option("--id", "id_key", metavar="KEY", help="Key that names a record; it is given back with the answer.")
@click.option("--every", type=click.FloatRange(0), default=WATCH.every, metavar="SECONDS",
              help="Explain at most once in so long, each --id apart.")  # fmt: skip
@click.option("--time", "time_key", metavar="KEY", help="Key that says when a record was measured: ISO 8601, or seconds since 1970.")
@click.option("--max-age", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Do not answer a record measured longer ago.")
@click.option("--queue", type=click.IntRange(1), default=WATCH.queue, metavar="N", help="Messages that may wait.")
@click.option("--policy", type=click.Choice(["drop-oldest", "drop-newest", "block"]),
              help="What happens when more come.  [default: block for standard input, drop-oldest for MQTT]")  # fmt: skip
@click.option("--health", type=click.Path(path_type=Path), metavar="FILE", help="JSON file that says how it is, every few seconds.")
@click.option("--dead", type=click.Path(path_type=Path), metavar="FILE", help="File for messages that could not be used.")
@click.option("--mqtt", metavar="URL", help="mqtt://[USER@]HOST[:PORT], or mqtts:// for TLS, instead of standard input and output.")
@click.option("--topic", metavar="TOPIC", help="Topic the records come on.")
@click.option("--out-topic", metavar="TOPIC", help="Topic for answers.  [default: TOPIC/explained]")
@click.option("--dead-topic", metavar="TOPIC", help="Topic for messages that could not be used.")
@click.option("--health-topic", metavar="TOPIC", help="Topic that always holds the health.")
@click.option("--home-assistant", metavar="[PREFIX]", is_flag=False, flag_value="homeassistant",
              help="Show risk, advice and health in Home Assistant, found by itself.")  # fmt: skip
@click.option("--client", default="", metavar="NAME", help="Name at the broker, which then keeps messages while we are away.")
@click.option("--ca", type=click.Path(path_type=Path), metavar="FILE", help="Certificate authority of the broker.  [default: the system's]")
@click.option("--plain", is_flag=True, help="Allow mqtt:// to another machine or with a password, which anybody on the way can read.")
@click.option("--password-file", type=click.Path(path_type=Path), metavar="FILE",
              help="Password of the broker's user.  [default: SENSECF_MQTT_PASSWORD]")  # fmt: skip
def watch(**options: Any) -> int:
    """Explain records as they come, for as long as they come: JSON Lines on standard input, or MQTT.

    Only a record whose prediction is unwanted, or depends on what is unknown, is answered. SIGTERM ends after the record in
    hand, SIGHUP reads the bundle again and keeps the old one where the new one does not verify.
    """
    _check_watch(options)

    with terminal.extra("mqtt"):
        from ..budget import Budget
        from ..watch.watcher import Watch, Watcher

        watcher = Watcher(
            Watch(
                tried_model(options["model"]), Budget(options["answers"], seed=options["seed"]),
                constraints_of(options),
                options["every"], options["queue"], options["policy"] or ("drop-oldest" if options["mqtt"] else "block"),
                options["health"], options["id_key"], options["base_rate"], options["time_key"], options["max_age"],
            ),
            _port(options, terminal.say), terminal.say,
        )  # fmt: skip
        for name, action in (("SIGTERM", watcher.stop), ("SIGINT", watcher.stop), ("SIGHUP", watcher.reload)):
            terminal.on_signal(name, action)
        watcher.run()
    return 0


def _check_watch(options: dict[str, Any]) -> None:
    only_mqtt = ("topic", "out_topic", "dead_topic", "health_topic", "ca", "password_file", "client", "plain", "home_assistant")
    if options["max_age"] and not options["time_key"]:
        raise click.UsageError("--max-age needs --time KEY, where a record says when it was measured")
    if options["dead"] and options["health"] and options["dead"].resolve() == options["health"].resolve():
        raise click.UsageError("--dead and --health are one file; give each a name of its own")
    if not options["mqtt"]:
        for name in only_mqtt:
            if options[name]:
                raise click.UsageError(f"--{name.replace('_', '-')} needs --mqtt URL")
        return
    if options["home_assistant"] is not None and ("/" in options["home_assistant"] or not options["home_assistant"].strip()):
        raise click.UsageError("--home-assistant takes Home Assistant's discovery prefix, one word; leave it out for its default")
    if not options["topic"]:
        raise click.UsageError("--mqtt needs --topic TOPIC, where the records come on")
    if options["dead"]:
        raise click.UsageError("with --mqtt dead letters go to a topic: --dead-topic TOPIC")
    if options["policy"] == "block":
        raise click.UsageError("--policy block would hold up the connection to the broker; choose drop-oldest or drop-newest")


def _port(options: dict[str, Any], say: Callable[[str], None]) -> Any:
    if not options["mqtt"]:
        from ..watch.ports import StandardPort

        return StandardPort(say, options["dead"])
    from ..watch.broker import Broker
    from ..watch.mqtt import MqttPort, Topics

    topic, home = options["topic"], None
    answers, health = options["out_topic"] or f"{topic}/explained", options["health_topic"]
    if options["home_assistant"] is not None:
        from ..watch.home_assistant import HomeAssistant

        health, expire = health or f"{topic}/health", max(1, round(options["max_age"] or WATCH.expire))
        named = bool(options["id_key"])
        home = HomeAssistant(options["client"] or topic, f"{answers}/now", health, expire, options["home_assistant"], named)
    topics = Topics(topic, answers, options["dead_topic"], health, home.topic if home else None)
    password = terminal.password(options["password_file"])
    broker = Broker.parse(options["mqtt"], password, options["ca"], options["client"], options["plain"])
    return MqttPort(broker, topics, say, home)
