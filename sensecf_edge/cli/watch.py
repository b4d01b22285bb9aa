"""`watch`: records or readings as they come, explanations out. Everything heavy is imported inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..settings import STREAM, WATCH
from . import terminal
from .days import day_rules
from .options import constraints_of, model_or_usage_error, request

if TYPE_CHECKING:
    from ..watch.loop import Loop


def _of_readings(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed([
        click.option("--readings", is_flag=True, help="Take readings of sensors in place of records, and make the days of them."),
        click.option("--store", type=click.Path(path_type=Path), metavar="FILE",
                     help="With --readings: the file that keeps open days.  [default: ~/.local/state/sensecf-edge/readings.sqlite]"),
        click.option("--zone", metavar="ZONE", help="With --readings: where the people live, an IANA name: Europe/London."),
        click.option("--late", type=click.FloatRange(1, 24 * 366), metavar="HOURS",
                     help=f"With --readings: how long after its end a day takes readings.  [default: {STREAM.late:g}]"),
        click.option("--prefer", multiple=True, metavar="DEVICE", help="With --readings: device that goes before others. Repeatable."),
        click.option("--unit", "units", multiple=True, metavar="KIND=UNIT",
                     help="With --readings: unit of readings that state none: glucose=mmol/L. Repeatable."),
        click.option("--floor", "floors", multiple=True, metavar="MEASURE=SHARE",
                     help="With --readings: least coverage (0 to 1) at which a measure is known. Repeatable."),
    ]):  # fmt: skip
        command = option(command)
    return command


@click.command()
@request
@click.option("--id", "id_key", metavar="KEY", help="Key that names a record; it is given back with the answer.")
@click.option("--every", type=click.FloatRange(0), metavar="SECONDS",
              help=f"Explain each id at most once in so long.  [default: {WATCH.every:g}; --readings: {STREAM.every:g}]")  # fmt: skip
@click.option("--time", "time_key", metavar="KEY", help="Key that says when a record was measured: ISO 8601, or seconds since 1970.")
@click.option("--max-age", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Do not answer a record measured longer ago.")
@click.option("--queue", type=click.IntRange(1), metavar="N",
              help=f"Messages that may wait.  [default: {WATCH.queue}; --readings: {STREAM.queue}]")  # fmt: skip
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
@_of_readings
def watch(**options: Any) -> int:
    """Explain records as they come, for as long as they come: JSON Lines on standard input, or MQTT.

    With --readings the messages are readings of sensors (docs/sensors.md): their days are told when they are over, and every
    --every seconds as they stand.

    Only a record whose prediction is unwanted, or depends on what is unknown, is answered. SIGTERM ends after the record in
    hand, SIGHUP reads the bundle again and keeps the old one where the new one does not verify.
    """
    _check_watch(options)

    with terminal.extra("mqtt"):
        watcher = _watcher(options)
        for name, action in (("SIGTERM", watcher.stop), ("SIGINT", watcher.stop), ("SIGHUP", watcher.reload)):
            terminal.on_signal(name, action)
        watcher.run()
    return 0


def _watcher(options: dict[str, Any]) -> Loop:
    from ..budget import Budget

    limits = STREAM if options["readings"] else WATCH
    asked = {
        "model": model_or_usage_error(options["model"]),
        "budget": Budget(options["answers"], seed=options["seed"], typical=options["typical"]),
        "constraints": constraints_of(options), "every": limits.every if options["every"] is None else options["every"],
        "queue": options["queue"] or limits.queue, "policy": options["policy"] or ("drop-oldest" if options["mqtt"] else "block"),
        "health": options["health"], "base_rate": options["base_rate"], "max_age": options["max_age"],
    }  # fmt: skip
    if not options["readings"]:
        from ..watch.watcher import Watch, Watcher

        watch = Watch(**asked, id=options["id_key"], time=options["time_key"])
        return Watcher(watch, _port(options, terminal.say), terminal.say)
    from ..watch.stream.watcher import DayWatcher, Stream

    rules, units = day_rules(options)
    store = options["store"] or _state()
    stream = Stream(**asked, store=store, rules=rules, units=units, late=options["late"] or STREAM.late)
    terminal.say(f"open days are kept in {store}")
    return DayWatcher(stream, _port(options, terminal.say), terminal.say)


def _state() -> Path:
    """The user's own folder for what programs keep."""
    import os

    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "sensecf-edge"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / "readings.sqlite"


def _check_readings(options: dict[str, Any]) -> None:
    if not options["readings"]:
        for name in ("store", "zone", "late", "prefer", "units", "floors"):
            if options[name]:
                raise click.UsageError(f"--{name.removesuffix('s') if name in ('units', 'floors') else name} needs --readings")
        return
    for name in ("id", "time"):
        if options[f"{name}_key"]:
            raise click.UsageError(f"--{name} is for records; a reading has its person and time under these names")
    if not options["zone"]:
        raise click.UsageError("--readings needs --zone: a day begins and ends by somebody's clock, for example --zone Europe/London")
    from ..sensors.clocks import is_fixed, zone

    if is_fixed(zone(options["zone"])):
        raise click.UsageError("--zone takes a place here, for example Europe/London: a stream goes on when clocks change")


def _check_watch(options: dict[str, Any]) -> None:
    only_mqtt = ("topic", "out_topic", "dead_topic", "health_topic", "ca", "password_file", "client", "plain", "home_assistant")
    _check_readings(options)
    if options["max_age"] and not options["time_key"] and not options["readings"]:
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
        named = bool(options["id_key"]) or options["readings"]
        home = HomeAssistant(options["client"] or topic, f"{answers}/now", health, expire, options["home_assistant"], named)
    topics = Topics(topic, answers, options["dead_topic"], health, home.topic if home else None)
    password = terminal.password(options["password_file"])
    broker = Broker.parse(options["mqtt"], password, options["ca"], options["client"], options["plain"])
    return MqttPort(broker, topics, say, home)
