"""llama.cpp's shared library: loaded once, silent, its models opened with an error in words where they cannot be."""

from __future__ import annotations

import ctypes
import hashlib
import io
import os
import re
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import EngineError
from ..settings import SMALL_MODEL, EngineSettings
from .gguf_audit import check_head
from .hashing import still

_ERROR_LEVEL = 4
_CUDA = "CMAKE_ARGS='-DGGML_CUDA=on -DLLAVA_BUILD=OFF' pip install --force-reinstall --no-cache-dir llama-cpp-python==0.3.36"
_NO_DEVICE = (ctypes.c_void_p * 1)(None)

_errors: deque[str] = deque(maxlen=2)


@cache
def library() -> Any:
    """llama_cpp's low-level module, loaded once and silent: its errors are kept for our messages, all else is dropped.

    Raises EngineError where it cannot be loaded.
    """
    # OpenMP's threads otherwise spin at every barrier: with a core taken by another program, two threads were 4 to 100
    # times slower than one. The variable is read while the library loads, and not left to child processes.
    ours = "OMP_WAIT_POLICY" not in os.environ
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        lib = _bindings()
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineError(f"llama-cpp-python cannot be loaded ({error}); install it again: pip install llama-cpp-python==0.3.36") from error
    finally:
        if ours:
            del os.environ["OMP_WAIT_POLICY"]

    def listen(level: int, text: bytes, _: Any) -> None:
        if level == _ERROR_LEVEL:
            _errors.append(text.decode("utf-8", "replace").strip())

    lib.sensecf_log = lib.llama_log_callback(listen)  # kept there: llama.cpp calls it for as long as the process lives
    lib.llama_log_set(lib.sensecf_log, None)
    lib.sensecf_last_words = _told_before_an_abort(lib)
    _load_kernels(lib)
    lib.llama_backend_init()
    return lib


def _load_kernels(lib: Any) -> None:
    """A build for many processors has its kernels in files beside the library, one for each generation: the best that this
    processor can run is loaded, from there alone. (llama.cpp by itself would look beside the Python program and in the
    working folder.) A build for one processor has them inside, and nothing is done. Raises EngineError where none fits."""
    native = getattr(lib, "_lib", None)
    load, count = (getattr(native, f"ggml_backend_{name}", None) for name in ("load_all_from_path", "reg_count"))
    if native is None or load is None or count is None:
        return
    count.restype, load.argtypes, load.restype = ctypes.c_size_t, [ctypes.c_char_p], None
    if count():
        return
    folder = Path(native._name).resolve().parent
    load(os.fsencode(folder))
    if not count():
        raise EngineError(f"llama.cpp has no code for this processor in {folder}; install llama-cpp-python==0.3.36 again, on this machine")


def _told_before_an_abort(lib: Any) -> Any:
    """An assertion of llama.cpp ends the process. Let it do so in words and with exit code 1: no core, no debugger that
    writes a backtrace of C among the answers on standard output."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")

    def tell(text: bytes | None) -> None:
        said = (text or b"").decode("utf-8", "replace").replace("\n", " ").rpartition("/")[2][:300]
        words = f"llama.cpp cannot go on with this model ({said}); run `sensecf-edge models verify`, or build the bundle again\n"
        os.write(2, words.encode())
        os._exit(1)

    told = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(tell)
    install = getattr(getattr(lib, "_lib", None), "ggml_set_abort_callback", None)
    if install is not None:
        install.restype, install.argtypes = ctypes.c_void_p, [type(told)]
        install(told)
    return told


def _bindings() -> Any:
    """llama_cpp's bindings without the package around them, whose chat formats cost as much again to import."""
    found = find_spec("llama_cpp")
    if found is None:
        raise ImportError("it is not installed")
    if "llama_cpp" in sys.modules:
        return import_module("llama_cpp.llama_cpp")
    shell = ModuleType("llama_cpp")
    shell.__path__ = list(found.submodule_search_locations or ())
    sys.modules["llama_cpp"] = shell
    try:
        return import_module("llama_cpp.llama_cpp")
    finally:
        del sys.modules["llama_cpp"]  # whoever wants the package itself gets it, over these same bindings


_threaded_in: set[int] = set()


def claim_threads(count: int) -> None:
    """Say that this process is going to compute with so many threads. Raises EngineError in a child of os.fork() whose
    parent did: OpenMP's threads stay behind in the parent, and whoever meets at their barrier waits for ever."""
    if count < 2:
        return
    if _threaded_in - {os.getpid()}:
        raise EngineError(
            "this process was forked from one that had used the language model with several threads, which do not come along; "
            "start it otherwise (multiprocessing's spawn), load the model after the fork only, or use one thread"
        )
    _threaded_in.add(os.getpid())


def llama_version() -> str:
    """Version of llama-cpp-python, as its own text states it; "unknown" where it is not there or states none. Loads nothing: neither the
    package, whose bindings alone are used, nor `importlib.metadata`, which takes as long as an answer."""
    if (loaded := sys.modules.get("llama_cpp")) is not None:
        return str(loaded.__version__)
    found = find_spec("llama_cpp")
    if found is None or found.origin is None:
        return "unknown"
    stated = re.search(r'^__version__ = "([^"]+)"', Path(found.origin).read_text(encoding="utf-8"), re.MULTILINE)
    return stated[1] if stated else "unknown"


def build_features() -> str:
    """What llama.cpp was built with, in words, and how to get the CUDA build where it is lacking. Raises EngineError."""
    lib = library()
    words = lib.llama_print_system_info().decode().replace(" | ", ", ").strip(" |,")
    return f"{words}; " + ("can use a GPU" if lib.llama_supports_gpu_offload() else f"without GPU. For NVIDIA: {_CUDA}")


def last_error() -> str:
    """The last error that llama.cpp logged, told once."""
    words = "; ".join(_errors)
    _errors.clear()
    return f": {words}" if words else ""


def _model_params(lib: Any, settings: EngineSettings) -> Any:
    """Where the layers go. On `cpu` no device is offered at all: a CUDA build would still take long prompts to it."""
    params = lib.llama_model_default_params()
    # Built by GCC 12 for a processor with AMX, llama.cpp loads tile registers from memory that the compiler believes nobody
    # reads, and the first batch ends the process (SIGSEGV in ggml_backend_amx_mul_mat). Plain kernels are chosen there.
    params.use_extra_bufts = b"AMX_INT8 = 1" not in lib.llama_print_system_info()
    gpu = bool(lib.llama_supports_gpu_offload())
    if settings.device == "cuda" and not gpu:
        raise EngineError(f"this llama-cpp-python was built without CUDA; use --device cpu, or install it again: {_CUDA}")
    if settings.device == "cpu" or not gpu:
        params.n_gpu_layers = 0
        params.devices = ctypes.addressof(_NO_DEVICE) if gpu else None
    else:
        params.n_gpu_layers = settings.gpu_layers
    return params


def open_model(lib: Any, path: Path, settings: EngineSettings, sha256: str | None = None) -> Any:
    """A model in llama.cpp's hands. Raises EngineError saying what is wrong with the file; see `_handed_over` for `sha256`."""
    params = _model_params(lib, settings)
    with _handed_over(path, sha256) as (name, small):
        if small:
            params.load_mode = lib.LLAMA_LOAD_MODE_NONE
        _errors.clear()
        model = lib.llama_model_load_from_file(name, params)
        if not model:
            told = last_error().replace(os.fsdecode(name), str(path))
            raise EngineError(f"llama.cpp cannot load {path}{told}; fetch or build the bundle again")
    return model


def attach_adapter(lib: Any, model: Any, context: Any, path: Path, sha256: str | None = None) -> None:
    """Add a LoRA adapter, at its full strength, to all that the context computes; its memory is given back with the model's.

    Raises EngineError for a file that is no adapter or was made for another model. Two models of the same shapes cannot
    be told apart here: which adapter belongs to which model is the manifest's word.
    """
    with _handed_over(path, sha256) as (name, _):
        _errors.clear()
        adapter = lib.llama_adapter_lora_init(model, name)
        if not adapter:
            told = last_error().replace(os.fsdecode(name), str(path))
            raise EngineError(f"llama.cpp cannot add the adapter {path} to this generator{told}; give the one that was tuned on it")
    adapters = (lib.llama_adapter_lora_p_ctypes * 1)(adapter)
    if lib.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(1.0)) != 0:
        raise EngineError(f"llama.cpp cannot use the adapter {path}{last_error()}; convert it again with `sensecf-edge export gguf`")


@contextmanager
def _handed_over(path: Path, sha256: str | None = None) -> Iterator[tuple[bytes, bool]]:
    """The name under which llama.cpp is to open a file, and whether the file is small.

    Its hash is held against `sha256`, and where the system has names for handles (Linux) the file that was hashed is the one that is
    opened. A small one is handed over as a copy in memory: whatever becomes of the file later is nothing to us. A large one is mapped,
    so whoever may write into that very file can still do so.
    """
    handle: int | None = None
    try:
        with path.open("rb") as file:
            small = os.fstat(file.fileno()).st_size < SMALL_MODEL
            data = file.read(SMALL_MODEL) if small else b""
            check_head(io.BytesIO(data) if small else file, str(path))
            if sha256 is not None and not (hashlib.sha256(data).hexdigest() == sha256 if small else still(file, sha256)):
                raise EngineError(f"{path} was altered after it had been checked; run `sensecf-edge models verify`")
            if os.path.isdir("/proc/self/fd"):
                handle = _in_memory(data) if small else os.dup(file.fileno())
        yield (os.fsencode(path) if handle is None else b"/proc/self/fd/%d" % handle), small
    except OSError as error:
        raise EngineError(f"cannot read the model {path}: {error.strerror}") from error
    finally:
        if handle is not None:
            os.close(handle)


def _in_memory(data: bytes) -> int | None:
    """A file that no folder lists, holding `data`; None where the system has none."""
    if not hasattr(os, "memfd_create"):
        return None
    try:
        handle = os.memfd_create("model.gguf")
    except OSError:
        return None
    with open(handle, "wb", closefd=False) as file:
        file.write(data)
    return handle


def free(lib: Any, model: Any, context: Any) -> None:
    """Give native memory back."""
    if context:
        lib.llama_free(context)
    lib.llama_model_free(model)


def high_level() -> tuple[Any, Any]:
    """llama-cpp-python's own `Llama` and `LlamaGrammar`, which `comparisons` measures against."""
    lib = library()
    import llama_cpp

    lib.llama_log_set(lib.sensecf_log, None)  # the package has put its own in the place of ours, which writes to stderr
    return llama_cpp.Llama, llama_cpp.LlamaGrammar
