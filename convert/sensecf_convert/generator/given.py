"""A general model that proposes as it comes: nothing is trained, the bundle names it by its hash."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sensecf_edge.bundle.manifest import CHAT, RAW
from sensecf_edge.errors import EngineError
from sensecf_edge.llama.chat import Talk
from sensecf_edge.propose import instructions, prompt
from sensecf_edge.propose.instructions import Task
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import LOOP

from ..plan import FitPlan
from .learners import Made


def taken(plan: FitPlan, schema: Schema, task: Task) -> Made | None:
    """The GGUF that the plan names, shared with other bundles, and what manifest and card say of it; None where the plan names none.
    Raises BaseModelError, EngineError."""
    if (choice := plan.general) is None:
        return None
    from gguf import GGUFReader

    from .base import dequantized  # a fit without a language model imports none of this
    from .base.tokens import Tokens

    hints = bool(plan.hints)
    weights = dequantized.shared(choice.place)
    try:
        read = GGUFReader(weights.path)
    except (ValueError, KeyError, IndexError) as error:
        raise EngineError(f"{choice.place} is no GGUF that can be read ({error})") from error
    tokens, longest = Tokens(weights.path), instructions.longest(schema, task, min(LOOP.max_changes, len(schema)), hints)
    architecture = read.fields.get("general.architecture")
    facts: dict[str, Any] = {
        "prompt": prompt.GENERAL, "hints": hints, "untuned": RAW if choice.raw else CHAT, "weights": asdict(weights),
        "context": len(tokens.prompt(longest[0])) + Talk.answer_tokens(len(tokens.plain(longest[1]))),
        "architecture": str(architecture.contents()) if architecture else "", "vocabulary": tokens.size,
        "parameters": sum(int(tensor.n_elements) for tensor in read.tensors),
    }  # fmt: skip
    return Made(weights.path, weights.path, facts, task)
