"""What this installation can do here: versions, CPU, threads, models and the memory they need, optional parts."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from .. import __version__
from ..bundle.bundle import Bundle
from ..bundle.manifest import ADAPTER
from ..errors import SenseCFError, WeightsAwayError
from ..llama.engine import LlamaEngine
from ..llama.threads import calibrate, rule, usable
from ..settings import ENGINE, SMALL_MODEL

RUNTIME = ("numpy", "click", "rich")
DOORS = {"llama-cpp-python": ("llama.library", "llama_version"), "onnxruntime": ("judge.classifier", "onnxruntime_version")}
EXTRAS = {"convert": ("torch", "transformers", "sklearn", "skl2onnx", "onnx", "gguf", "pandas")}
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "f16c", "fma", "asimd", "asimddp", "i8mm")
BASE_MB, GENERATOR_FACTOR, ONNX_FACTOR = 90, 3.0, 15.0  # measured: a forest takes 15 times its file while onnxruntime builds it


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: what was looked at, what was found; `problem` where `explain` cannot work because of it."""

    what: str
    found: str
    problem: bool = False


def examine() -> list[Finding]:
    """Look at everything `explain` needs. Opens the shipped bundles and times their generators for a moment."""
    return [*_versions(), *_engines(), *_machine(), *_models(), *_extras()]


def memory_mb(bundle: Bundle) -> int:
    """Estimated peak of one `explain` process in MB: the interpreter and libraries, then the models with their buffers."""
    size = {name: entry.bytes / 1e6 for name, entry in bundle.manifest.files.items()}
    generator, others = bundle.generator_bytes / 1e6 + size.get(ADAPTER, 0), sum(n for name, n in size.items() if name.endswith(".onnx"))
    return round(BASE_MB + GENERATOR_FACTOR * generator + ONNX_FACTOR * others)


def _versions() -> list[Finding]:
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    out = [Finding("sensecf-edge", __version__), Finding("python", system)]
    for name in (*DOORS, *RUNTIME):
        try:
            door, ask = DOORS.get(name, ("", ""))
            found = getattr(import_module(f"sensecf_edge.{door}"), ask)() if door else version(name)
            out.append(Finding(name, found))
        except (PackageNotFoundError, ImportError):
            out.append(Finding(name, "missing: pip install sensecf-edge", problem=True))
    return out


def _engines() -> list[Finding]:
    """Both doors, opened once: does the library load, and what was it built with?"""
    out = []
    for what, door in (("llama.cpp", "llama.library"), ("onnxruntime", "judge.classifier")):
        try:
            features = import_module(f"sensecf_edge.{door}").build_features
            out.append(Finding(f"{what} build", features()))
        except (SenseCFError, ImportError, AttributeError, OSError, RuntimeError) as error:
            out.append(Finding(f"{what} build", f"does not load: {str(error).strip().splitlines()[0]}", problem=True))
    return out


def _machine() -> list[Finding]:
    out = [Finding("cpu", f"{usable()} usable cores; {_cpu_flags()}"), Finding("gpu", _gpus())]
    words = f"1 for models under {SMALL_MODEL // 10**6} MB, {rule(SMALL_MODEL)} for larger ones just now; --threads N overrides"
    out.append(Finding("threads", words))
    if memory := _memory_mb():
        out.append(Finding("memory", f"{memory[1]:,} MB free of {memory[0]:,} MB"))
    return out


def _gpus() -> str:
    """NVIDIA's GPUs by name, asked of their driver's own program."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "no NVIDIA driver found"
    try:
        done = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi does not run: {error}"
    return ", ".join(done.stdout.split("\n")).strip(", ") or "an NVIDIA driver, no GPU"


def _cpu_flags() -> str:
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").lower().split())
    except OSError:
        return platform.processor() or "features unknown"
    return " ".join(flag for flag in FLAGS if flag in words) or "no vector features found"


def _memory_mb() -> tuple[int, int] | None:
    """Total and available memory in MB; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    return kb.get("MemTotal", 0) // 1024, kb.get("MemAvailable", 0) // 1024


def _models() -> list[Finding]:
    shipped = Bundle.available()
    if not shipped:
        return [Finding("models", "none shipped with this installation; explain needs --model PATH")]
    out = []
    for name, folder in shipped:
        try:
            bundle = Bundle.open(folder)
            out.append(Finding(f"model {name}", f"intact; explain needs about {memory_mb(bundle)} MB{_engine(bundle)}"))
        except SenseCFError as error:
            out.append(Finding(f"model {name}", str(error), problem=not isinstance(error, WeightsAwayError)))
    return out


def _engine(bundle: Bundle) -> str:
    """The key-value cache, which is taken whole, and the threads that were fastest just now."""
    if bundle.manifest.generator.none:
        return "; it has no generator, search alone answers"
    with LlamaEngine(bundle.generator_path, ENGINE, bundle.manifest.generator.context, bundle.adapter_path) as engine:
        kept = f", {engine.kv_bytes / 1e6:.1f} MB of it for {engine.cells:,} key-value cells"
    fastest = calibrate(bundle.generator_path, bundle.manifest.generator.context)
    return f"{kept}; fastest just now: {fastest['prompt']} threads for prompts, {fastest['decode']} for answers"


def _extras() -> list[Finding]:
    out = []
    for extra, modules in EXTRAS.items():
        lacking = [m for m in modules if find_spec(m) is None]
        found = f'lacks {", ".join(lacking)}: pip install "sensecf-edge[{extra}]"' if lacking else "installed"
        out.append(Finding(f"extra [{extra}]", found))
    return out
