"""The offline kit: one archive that installs the runtime on a machine without network or compiler. Called by `make kit`.

In: the project's wheel, llama.cpp built for many processors. Out: an archive with wheels for a range of Pythons, `install`, licences,
checksums, an SBOM. A developer's tool, in no wheel; `install`, `install.py` and `README.txt` are what travels.
"""
