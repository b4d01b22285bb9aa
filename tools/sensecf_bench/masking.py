"""Keepers of a grammar: this project's, llama.cpp's sampler and llguidance, each asked for the same tokens of the same answers."""

from __future__ import annotations

import ctypes
import random
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.space.admissible import Admissible

Keeper = Callable[[Admissible, list[int]], int]
"""Walks one answer's tokens under a grammar, asking at each which tokens are allowed; how many it asked about."""


def masks(engine: LlamaEngine) -> Keeper:
    """This project's: the vocabulary laid over the automaton."""

    def walk(space: Admissible, tokens: list[int]) -> int:
        node = Grammar(space).start
        for token in tokens:
            node = engine.vocabulary.moves(node).after(token)
        return len(tokens)

    return walk


def llama_sampler(engine: LlamaEngine, verify: bool = False) -> Keeper:
    """llama.cpp's grammar sampler over all tokens; or `verify`: over the token that was sampled, as if it always held."""
    lib, vocab, n = engine._lib, engine._tokenizer.vocab, 1 if verify else engine.n_vocab
    data = (lib.llama_token_data * n)()
    view = np.ctypeslib.as_array(data)
    ids = np.arange(n)

    def walk(space: Admissible, tokens: list[int]) -> int:
        sampler = lib.llama_sampler_init_grammar(vocab, Grammar(space).gbnf().encode(), b"root")
        for token in tokens:
            view["id"], view["logit"] = token if verify else ids, 0
            candidates = lib.llama_token_data_array(data=data, size=n, selected=-1, sorted=False)
            lib.llama_sampler_apply(sampler, ctypes.byref(candidates))
            lib.llama_sampler_accept(sampler, token)
        lib.llama_sampler_free(sampler)
        return len(tokens)

    return walk


def guidance(engine: LlamaEngine) -> Keeper | None:
    """llguidance's masks, where it is installed; it is no dependency of this project."""
    if find_spec("llguidance") is None:
        return None
    llguidance, lark = import_module("llguidance"), import_module("llguidance.gbnf_to_lark")

    class Tokens:
        eos_token_id = int(engine._lib.llama_vocab_eos(engine._tokenizer.vocab))
        bos_token_id = None
        tokens = [piece or b"\xff<x>" for piece in engine.vocabulary.pieces]  # noqa: RUF012
        special_token_ids = [i for i, piece in enumerate(engine.vocabulary.pieces) if not piece]  # noqa: RUF012

        def __call__(self, text: bytes | str) -> list[int]:
            return engine._tokenizer.plain(text if isinstance(text, bytes) else text.encode())

    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Tokens()))
    mask = bytearray((engine.n_vocab + 31) // 32 * 4)

    def walk(space: Admissible, tokens: list[int]) -> int:
        grammar = llguidance.grammar_from("lark", lark.any_to_lark(Grammar(space).gbnf()))
        matcher = llguidance.LLInterpreter(tokenizer, grammar, enable_backtrack=False, enable_ff_tokens=False)
        matcher.start_without_prompt()
        for token in tokens:
            matcher.compute_mask_into(mask)
            matcher.commit_token(token)
        return len(tokens)

    return walk


def answers(engine: LlamaEngine, where: Sequence[Admissible], seed: int = 0) -> list[list[int]]:
    """A random admissible answer for each, in the model's own tokens, as far as the grammar lets them stand."""
    chance, out = random.Random(seed), []
    for space in where:
        node, text = Grammar(space).start, b""
        while not node.final:
            place = chance.choice(node.possible().tolist())
            text, node = text + node.texts.texts[place], node.then(place)
        out.append(engine._tokenizer.plain(text))
    return out


def turns(engine: LlamaEngine, space: Admissible, own: Sequence[int]) -> int:
    """Decodes behind the prompt's that an answer takes when the model writes it in these tokens of its own."""
    vocabulary, count = engine.vocabulary, -1
    text = b"".join(vocabulary.pieces[t] for t in own)
    opening, node = vocabulary.forced(Grammar(space).start, None)
    at = sum(len(vocabulary.pieces[t]) for t in opening)
    while not vocabulary.only(node)[1].final:
        fitting = [t for t in vocabulary.moves(node).ids.tolist() if text.startswith(vocabulary.pieces[t], at)]
        last = max(fitting, key=lambda t: len(vocabulary.pieces[t]))
        node, at, count = vocabulary.moves(node).after(last), at + len(vocabulary.pieces[last]), count + 1
        more, node = vocabulary.forced(node, last)
        at += sum(len(vocabulary.pieces[t]) for t in more)
    return max(0, count)


def per_token(walk: Keeper, where: Sequence[Admissible], said: Sequence[list[int]], seconds: float) -> float:
    """Seconds per token of a keeper, over new records until the time is spent."""
    tokens, began = 0, time.perf_counter()
    for space, answer in zip(where, said, strict=True):
        tokens += walk(space, answer)
        if time.perf_counter() - began > seconds:
            break
    return (time.perf_counter() - began) / tokens
