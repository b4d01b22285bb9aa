"""What this engine costs beside llama.cpp alone, llama-cpp-python and an idle Python: a developer's tool, in no wheel.

`PYTHONPATH=tools python -m sensecf_bench --model NAME`. It reaches into the engine on purpose, and is no part of the runtime.
"""
