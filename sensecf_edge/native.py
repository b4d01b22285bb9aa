"""llama.cpp's shared library: loaded once, silent, its models opened with an error in words where they cannot be."""

from __future__ import annotations

import ctypes
import os
import sys
from collections import deque
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import EngineError
from .settings import EngineSettings

_ERROR_LEVEL = 4
_CUDA = "CMAKE_ARGS='-DGGML_CUDA=on -DLLAVA_BUILD=OFF' pip install --force-reinstall --no-cache-dir llama-cpp-python==0.3.36"
_NO_DEVICE = (ctypes.c_void_p * 1)(None)

_errors: deque[str] = deque(maxlen=2)


@cache
def library() -> Any:
    """llama_cpp's low-level module, loaded once and silent: its errors are kept for our messages, all else is dropped."""
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
    lib.llama_backend_init()
    return lib


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


def build_features() -> str:
    """What llama.cpp was built with, in words, and how to get the CUDA build where it is lacking. Raises EngineError."""
    lib = library()
    words = lib.llama_print_system_info().decode().replace(" | ", ", ").strip(" |,")
    return f"{words}; " + ("can use a GPU" if lib.llama_supports_gpu_offload() else f"without GPU. For NVIDIA: {_CUDA}")


def why() -> str:
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


def open_model(lib: Any, path: Path, settings: EngineSettings) -> Any:
    """A model in llama.cpp\'s hands. Raises EngineError saying what is wrong with the file."""
    _check_kind(path)
    _errors.clear()
    model = lib.llama_model_load_from_file(str(path).encode(), _model_params(lib, settings))
    if not model:
        raise EngineError(f"llama.cpp cannot load {path}{why()}; fetch or build the bundle again")
    return model


def wear_adapter(lib: Any, model: Any, context: Any, path: Path) -> None:
    """Add a LoRA adapter, at its full strength, to all that the context computes; its memory is given back with the model's.

    Raises EngineError for a file that is no adapter or was made for another model. Two models of the same shapes cannot
    be told apart here: which adapter belongs to which model is the manifest's word.
    """
    _check_kind(path)
    _errors.clear()
    adapter = lib.llama_adapter_lora_init(model, str(path).encode())
    if not adapter:
        raise EngineError(f"llama.cpp cannot add the adapter {path} to this generator{why()}; give the one that was tuned on it")
    adapters = (lib.llama_adapter_lora_p_ctypes * 1)(adapter)
    if lib.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(1.0)) != 0:
        raise EngineError(f"llama.cpp cannot use the adapter {path}{why()}; convert it again with `sensecf-edge export gguf`")


def _check_kind(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise EngineError(f"cannot read the model {path}: {error.strerror}") from error
    if magic != b"GGUF":
        raise EngineError(f"{path} is not a GGUF file; fetch or build the bundle again")


def free(lib: Any, model: Any, context: Any) -> None:
    """Give native memory back."""
    if context:
        lib.llama_free(context)
    lib.llama_model_free(model)


def high_level() -> tuple[Any, Any]:
    """llama-cpp-python's own `Llama` and `LlamaGrammar`, which `bench` measures against."""
    lib = library()
    import llama_cpp

    lib.llama_log_set(lib.sensecf_log, None)  # the package has put its own in the place of ours, which writes to stderr
    return llama_cpp.Llama, llama_cpp.LlamaGrammar
