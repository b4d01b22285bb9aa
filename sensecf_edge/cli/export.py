"""Commands that write models in other formats: GGUF, smaller GGUF, ONNX. Their work is done by `sensecf_convert.export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import terminal
from .options import MODEL_HELP, QUANTIZED, encoding, model_or_usage_error

KINDS = ("f32", "f16", "bf16", "Q8_0")
TYPES = QUANTIZED
"""The build side's words, known here without importing it; a test holds the two together."""

_OUT: dict[str, Any] = {"type": click.Path(path_type=Path), "required": True}


@click.group()
def export() -> None:
    """Models in other formats: GGUF, smaller GGUF, ONNX."""


@export.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="FILE", help="GGUF to write.", **_OUT)
@click.option("--adapter", type=click.Path(path_type=Path), metavar="DIR", help="Convert this LoRA adapter; CHECKPOINT is its base.")
@click.option("--type", "kind", type=click.Choice(KINDS, case_sensitive=False), default=KINDS[0], help="How weights are stored.")
def gguf(checkpoint: Path, out: Path, adapter: Path | None, kind: str) -> int:
    """Convert CHECKPOINT, a folder as transformers saves it, with llama.cpp's own converter.

    With --adapter only the adapter is written: a bundle may hold it as adapter.gguf beside the base's generator.gguf. The
    first time, the source distribution of llama-cpp-python is fetched (77 MB) and kept; after that no network is needed.
    """
    with terminal.extra("convert"):
        from sensecf_convert.export.convert import hf_to_gguf, lora_to_gguf

        if adapter is None:
            hf_to_gguf(checkpoint, out, kind)
        else:
            lora_to_gguf(adapter, checkpoint, out, kind)
    click.echo(f"wrote {out}, {out.stat().st_size / 1e6:,.1f} MB", err=True)
    return 0


@export.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="FILE", help="ONNX to write.", **_OUT)
@click.option("--schema", "schema_file", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Features in MODEL's order.")
@encoding
@click.option("--table", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Rows that tell which class is which.")
@click.option("--target", required=True, metavar="COLUMN", help="Column of TABLE that MODEL predicts.")
@click.option("--wanted", required=True, metavar="VALUE", help="Class to move people to.")
def onnx(model: Path, out: Path, schema_file: Path, table: Path, target: str, wanted: str) -> int:
    """Write MODEL, a scikit-learn or XGBoost classifier saved with skops (or an ONNX graph), as the ONNX a bundle takes.

    The file is audited and never unpickled; the graph is compared with the model. `fit --classifier MODEL` does the same.
    """
    with terminal.extra("convert"):
        from sensecf_convert.classifier.own.to_onnx import to_onnx_file

        for line in to_onnx_file(model, out, schema_file, table, target, wanted):
            click.echo(line, err=True)
    click.echo(f"wrote {out}, {out.stat().st_size / 1e6:,.2f} MB", err=True)
    return 0


@export.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="FILE", help="GGUF to write.", **_OUT)
@click.option("--type", "kind", required=True, type=click.Choice(TYPES, case_sensitive=False), help="llama.cpp's name of the type.")
@click.option("--threads", type=click.IntRange(1), help="Threads to use.  [default: all this process may]")
@click.option("--again", is_flag=True, help="Allow a SOURCE that is quantized already.")
def quantize(source: Path, out: Path, kind: str, threads: int | None, again: bool) -> int:
    """Write SOURCE, a GGUF in f32, f16 or bf16, in a smaller type. Says which tensors could not take it."""
    with terminal.extra("convert"):
        from sensecf_convert.export.quantize import fallbacks
        from sensecf_convert.export.quantize import quantize as run
        from sensecf_convert.progress import bar

        from ..llama.threads import usable

        with bar("quantize") as show:
            run(source, out, kind, threads or usable(), again, show)
        fallen = fallbacks(out, kind)
    before, after = source.stat().st_size, out.stat().st_size
    click.echo(f"wrote {out}: {before / 1e6:,.2f} MB to {after / 1e6:,.2f} MB", err=True)
    if fallen:
        click.echo(f"{len(fallen)} tensors have rows that {kind} does not divide; llama.cpp stored them otherwise:", err=True)
        for tensor in fallen:
            click.echo(f"  {tensor}", err=True)
    return 0


@export.command()
@click.option("--model", help=MODEL_HELP)
@encoding
@click.option("--table", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The table that MODEL was fitted on.")
@click.option("--source", type=click.Path(path_type=Path), metavar="FILE",
              help="The generator in f32, as it ships.  [default: fit-work/NAME/improved-f32.gguf, or tuned-f32]")  # fmt: skip
@click.option("--types", default=",".join(TYPES), metavar="A,B", help="Types to measure beside f32.")
@click.option("--people", type=click.Choice(["unseen", "training"]), default="unseen", help="Choose on training people, report on unseen.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Explain at most N records.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def report(model: str | None, table: Path, source: Path | None, types: str, people: str, limit: int | None, as_json: bool) -> int:
    """Measure what each quantization of MODEL's generator costs in bytes and time, and what it loses against f32."""
    asked = [name.strip() for name in types.split(",") if name.strip()]
    if wrong := [name for name in asked if name not in TYPES]:
        raise click.UsageError(f"--types knows {', '.join(TYPES)}; not {', '.join(wrong)}")
    with terminal.extra("convert"):
        from sensecf_convert.evaluate import quantizations as room
        from sensecf_convert.progress import bar

        from ..trial import opened

        bundle = opened(model_or_usage_error(model))
        with bar("report") as show:
            rows = room.measure(bundle, table, source or room.source_of(bundle), asked, people, limit, show)
    click.echo(terminal.json_text({"format": 1, "model": bundle.name, "rows": rows}) if as_json else room.markdown(rows))
    return 0
