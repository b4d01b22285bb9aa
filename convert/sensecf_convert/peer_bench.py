"""Other methods timed on the records that `bench` explains: NICE as its users run it, and NICE given our ONNX classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sensecf_edge.bundle import Bundle
from sensecf_edge.check import OnnxChecker
from sensecf_edge.record import Record

from . import peers
from .progress import step
from .split import parts


def run(bundle: Bundle, table: Path, limit: int) -> tuple[list[Record], dict[str, dict[str, float]]]:
    """Records of the table that the classifier puts in the unwanted class, and each method's median and rate on them.

    Seconds are processor time, as `bench` takes it of ours. Unseen people first; where they are fewer than `limit`, they come
    again. Unknown values are filled in for NICE only.
    """
    train, test = parts(bundle, table)
    checker = OnnxChecker(bundle.classifier_bytes(), len(bundle.schema), bundle.manifest.target.index)
    rows = test.X[checker.p_target(test.X) < bundle.manifest.target.threshold]
    question = peers.question(bundle, train, rows[:limit])
    graph = (bundle.classifier_bytes(), bundle.manifest.target.index)
    out = {}
    for name, program, asked in (("NICE on scikit-learn", "nice-sklearn", question["model"]), ("NICE on our ONNX", "nice", graph)):
        with step(name) as say:
            _, seconds = peers.ask(program, {**question, "model": asked, "clock": "process_time"})
            out[name] = {"p50": float(np.median(seconds)), "records_per_second": len(seconds) / float(seconds.sum())}
            say(f"p50 {1000 * out[name]['p50']:.1f} ms a record")
    times = -(-limit // len(rows))
    return [Record(bundle.schema, row) for row in np.tile(rows, (times, 1))[:limit]], out
