"""A bundle is parsed, audited, and only then opened: what is altered is named, and no engine ever sees it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CALM, PATIENCE, SCHEMA, SHIPPED, STRESSED, toy_classifier, toy_density, toy_manifest, turn_to_format_1, write_toy

from sensecf_edge import Explainer
from sensecf_edge.bundle.bundle import Bundle, find, write_manifest
from sensecf_edge.bundle.manifest import FILES
from sensecf_edge.errors import BundleError
from sensecf_edge.schema.record import Record

Harm = Callable[[Path], Any]


def edit(**changes: Any) -> Harm:
    """Changes keys of manifest.json; a dotted key (a__b) goes inside, None takes the key away."""

    def harm(folder: Path) -> None:
        data = json.loads((folder / "manifest.json").read_text())
        for path, value in changes.items():
            *inside, key = path.split("__")
            part = data
            for step in inside:
                part = part[step]
            part[key] = value
            if value is None:
                del part[key]
        (folder / "manifest.json").write_text(json.dumps(data))

    return harm


def rehash(folder: Path, *names: str) -> None:
    """Makes the manifest's hash and size of files true again: harm that a hash does not show."""
    data = json.loads((folder / "manifest.json").read_text())
    for name in names:
        content = (folder / name).read_bytes()
        data["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(data))


def truncate(name: str) -> Harm:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def flip(name: str) -> Harm:
    def harm(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return harm


def swap(a: str, b: str) -> Harm:
    def harm(folder: Path) -> None:
        first, second = (folder / a).read_bytes(), (folder / b).read_bytes()
        (folder / a).write_bytes(second)
        (folder / b).write_bytes(first)

    return harm


def link_out(name: str) -> Harm:
    def harm(folder: Path) -> None:
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return harm


def replace_file(name: str, content: bytes, true_hash: bool = True) -> Harm:
    def harm(folder: Path) -> None:
        (folder / name).write_bytes(content)
        if true_hash:
            rehash(folder, name)

    return harm


def lists(name: str) -> Harm:
    def harm(folder: Path) -> None:
        data = json.loads((folder / "manifest.json").read_text())
        data["files"][name] = {"sha256": "0" * 64, "bytes": 1}
        (folder / "manifest.json").write_text(json.dumps(data))

    return harm


def manifest_bytes(content: bytes) -> Harm:
    return lambda folder: (folder / "manifest.json").write_bytes(content)


def become_folder(name: str) -> Harm:
    def harm(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return harm


SWAPPED = {**SCHEMA, "features": [SCHEMA["features"][i] for i in (0, 2, 1, 3)]}
OTHER_STEP = {**SCHEMA, "features": [{**SCHEMA["features"][0], "step": 2}, *SCHEMA["features"][1:]]}
OTHER_DENSITY = json.loads(json.dumps(toy_density()).replace('"steps"', '"paces"'))
REFERENCE: dict[str, Any] = {"quantiles": {}, "mad": {}}


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


HARMS: dict[str, tuple[Harm, str]] = {
    **{f"{name} truncated": (truncate(name), rf"{name} in .* holds [\d,]+ bytes, the manifest says") for name in FILES},
    **{f"{name} altered": (flip(name), rf"{name} in .* was altered: sha256 is [0-9a-f]{{12}}…, .* [0-9a-f]{{12}}…") for name in FILES},
    **{f"{name} missing": (lambda f, name=name: (f / name).unlink(), f"{name} is missing") for name in FILES},  # type: ignore[misc]
    "files swapped": (swap("classifier.onnx", "density.json"), "classifier.onnx in .* holds"),
    "another classifier": (replace_file("classifier.onnx", toy_classifier(0.5), true_hash=False), "classifier.onnx in .* was altered"),
    "newer format": (edit(format=3), "bundle format 3.* reads formats 1 to 2; upgrade with `pip install"),
    "no format": (edit(format=None), "bundle format None"),
    "format as text": (edit(format="1"), "bundle format '1'"),
    "format true": (edit(format=True), "bundle format True"),
    "climbing path": (lists("../../etc/passwd"), "manifest.json lists '../../etc/passwd'"),
    "absolute path": (lists("/etc/passwd"), "manifest.json lists '/etc/passwd'"),
    "path into a folder": (lists("a/b"), "manifest.json lists 'a/b'"),
    "Windows path": (lists("..\\x"), "manifest.json lists"),
    "drive": (lists("C:x"), "manifest.json lists 'C:x'"),
    "parent": (lists(".."), "manifest.json lists '..'"),
    "itself": (lists("manifest.json"), "manifest.json lists 'manifest.json'"),
    "link out, gguf": (link_out("generator.gguf"), "generator.gguf is a link that leads out"),
    "link out, onnx": (link_out("classifier.onnx"), "classifier.onnx is a link that leads out"),
    "link out, manifest": (link_out("manifest.json"), "manifest.json is a link that leads out"),
    "folder for a file": (become_folder("generator.gguf"), "generator.gguf in .* is not a plain file"),
    "text that fills the memory": (edit(**{"files__samples.json__bytes": 3 << 30}), "samples.json holds over 4,000,000 bytes"),
    "graph that fills the memory": (edit(**{"files__classifier.onnx__bytes": 1 << 40}), "classifier.onnx holds over 268,435,456 bytes"),
    "file not listed": (edit(**{"files": {}}), "manifest.json does not list schema.json, classifier.onnx, generator.gguf"),
    "short hash": (edit(**{"files__schema.json__sha256": "abc"}), "files.schema.json.sha256 cannot be 'abc'"),
    "size as text": (edit(**{"files__schema.json__bytes": "10"}), "files.schema.json.bytes cannot be '10'"),
    "manifest not JSON": (manifest_bytes(b"{"), "manifest.json is not JSON"),
    "manifest not UTF-8": (manifest_bytes(b"\xff\xfe{}"), "manifest.json is not JSON"),
    "manifest a list": (manifest_bytes(b"[]"), "manifest.json is not a JSON object"),
    "manifest nested deeply": (manifest_bytes(b"[" * 100_000), "manifest.json is not JSON"),
    "manifest huge": (manifest_bytes(b" " * 4_000_001), "manifest.json holds over 4,000,000 bytes"),
    "manifest key twice": (manifest_bytes(b'{"format": 2, "format": 2}'), "the key 'format' stands twice"),
    "manifest NaN": (manifest_bytes(b'{"format": NaN}'), "NaN is not a value"),
    "order swapped in the manifest": (edit(features=["age", "deep_sleep", "steps", "smoker"]), "'steps' as feature 2, the manifest 'deep"),
    "order swapped in the schema": (replace_file("schema.json", text(SWAPPED)), "'deep_sleep' as feature 2, the manifest 'steps'"),
    "feature missing in the manifest": (edit(features=["age", "steps", "deep_sleep"]), "4 features, the manifest 3"),
    "another schema": (replace_file("schema.json", text(OTHER_STEP)), "schema.json is not the one this bundle was built with"),
    "schema no schema": (replace_file("schema.json", b"[]"), "schema.json is not a schema"),
    "reference without quantiles": (replace_file("reference.json", text({"mad": {}})), "reference.json lacks usable quantiles"),
    "quantiles too few": (replace_file("reference.json", text({**REFERENCE, "quantiles": {"age": [1, 2]}})), "quantiles 11 a feature"),
    "density no JSON": (replace_file("density.json", b"{"), "density.json is not JSON"),
    "density of other features": (replace_file("density.json", text(OTHER_DENSITY)), "density.json is no density of this schema"),
    "format 1 without its graph": (edit(format=1), "does not list realism.onnx"),
    "reference of other features": (replace_file("reference.json", text({**REFERENCE, "mad": {"x": 1}})), "reference.json names 'x'"),
    "samples no list": (replace_file("samples.json", b"{}"), "samples.json is not a list"),
    "sample without values": (replace_file("samples.json", b'[{"id": "a"}]'), "sample 1 is not an object with id and values"),
    "no name": (edit(name=None), "name is missing"),
    "no target": (edit(target=None), "target is missing"),
    "wanted no class": (edit(target__wanted="happy"), "target.wanted cannot be 'happy'"),
    "one class": (edit(target__classes=["calm"]), "target.classes cannot be"),
    "threshold as text": (edit(target__threshold="0.5"), "target.threshold cannot be '0.5'"),
    "threshold 1": (edit(target__threshold=1), "target.threshold cannot be 1"),
    "no auc": (edit(classifier__auc=None), "classifier.auc is missing"),
    "auc over 1": (edit(classifier__auc=63), "classifier.auc cannot be 63"),
    "unknown prompt": (edit(generator__prompt="poem"), "generator.prompt 'poem' is not known"),
    "no context": (edit(generator__context=0), "generator.context cannot be 0"),
    "no licence": (edit(data__licence=None), "data.licence is missing"),
    "no source": (edit(data__source=None), "data.source is missing"),
}


@pytest.mark.parametrize("harm", HARMS, ids=list(HARMS))
def test_a_harmed_bundle_is_refused_by_name_of_file_and_difference(harm: str, toy_copy: Path) -> None:
    do, message = HARMS[harm]
    do(toy_copy)
    with pytest.raises(BundleError, match=message) as error:
        Bundle.open(toy_copy)
    assert "\n" not in str(error.value)


def test_no_engine_opens_anything_of_a_harmed_bundle(toy: Path, tmp_path: Path) -> None:
    folders = []
    for i, (do, _) in enumerate(HARMS.values()):
        folders.append(Path(shutil.copytree(toy, tmp_path / str(i) / "toy")))
        do(folders[-1])
    program = (
        "import sys\nfrom pathlib import Path\nfrom sensecf_edge import Explainer\nfrom sensecf_edge.errors import BundleError\n"
        "for folder in sys.argv[1:]:\n"
        "    try:\n        Explainer.load(Path(folder))\n        print('opened', folder)\n"
        "    except BundleError:\n        pass\n"
        "print([m for m in ('llama_cpp', 'onnxruntime') if m in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, *map(str, folders)], capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.returncode, ran.stdout) == (0, "[]\n"), ran.stdout + ran.stderr


def test_a_whole_bundle_opens_and_hands_on_what_was_hashed(toy: Path) -> None:
    bundle = Bundle.open(toy)
    assert (bundle.name, bundle.manifest.target.index, bundle.manifest.target.unwanted) == ("toy", 1, "stressed")
    assert bundle.schema.names == bundle.manifest.features == ("age", "steps", "deep_sleep", "smoker")
    assert hashlib.sha256(bundle.classifier_bytes()).hexdigest() == bundle.manifest.files["classifier.onnx"].sha256
    assert bundle.density is not None and bundle.density.to_json() == json.loads((toy / "density.json").read_text())
    assert hashlib.sha256(bundle.generator_path.read_bytes()).hexdigest() == bundle.manifest.files["generator.gguf"].sha256
    assert bundle.hash == hashlib.sha256((toy / "manifest.json").read_bytes()).hexdigest()
    assert [dict(s.values) for s in bundle.samples] == [STRESSED, CALM]
    assert bundle.reference.realism_quantiles == () and bundle.realism_bytes() is None
    assert bundle.card.startswith("# Toy") and bundle.unlisted == []


def test_rivals_are_listed_hashed_and_handed_on_and_a_bundle_may_have_none(toy: Path, toy_copy: Path) -> None:
    assert Bundle.open(toy).rivals_bytes() == ()
    (toy_copy / "rival-1.onnx").write_bytes(toy_classifier(scale=0.5))
    assert Bundle.open(toy_copy).rivals_bytes() == () and Bundle.open(toy_copy).unlisted == ["rival-1.onnx"]
    write_manifest(toy_copy, toy_manifest())
    assert Bundle.open(toy_copy).rivals_bytes() == (toy_classifier(scale=0.5),)
    (toy_copy / "rival-1.onnx").write_bytes(toy_classifier(scale=0.4))
    with pytest.raises(BundleError, match=r"rival-1\.onnx"):
        Bundle.open(toy_copy)


def test_what_was_read_is_what_is_handed_on_even_if_the_file_changes_later(toy_copy: Path) -> None:
    bundle = Bundle.open(toy_copy)
    flip("classifier.onnx")(toy_copy)
    assert hashlib.sha256(bundle.classifier_bytes()).hexdigest() == bundle.manifest.files["classifier.onnx"].sha256


def test_a_file_that_the_manifest_does_not_list_is_mentioned_and_not_used(toy_copy: Path) -> None:
    (toy_copy / "train.csv").write_text("1")
    assert Bundle.open(toy_copy).unlisted == ["train.csv"]


def test_keys_of_later_builders_are_tolerated_and_an_unmeasured_auc_is_none(toy_copy: Path) -> None:
    def null_auc(folder: Path) -> None:
        data = json.loads((folder / "manifest.json").read_text())
        data["classifier"] = {"auc": None, "colour": "green"}
        (folder / "manifest.json").write_text(json.dumps({**data, "extra": [1]}))

    null_auc(toy_copy)
    assert Bundle.open(toy_copy).manifest.classifier.auc is None


def test_a_link_inside_the_folder_is_no_way_out(toy_copy: Path) -> None:
    (toy_copy / "generator.gguf").rename(toy_copy / "v1.gguf")
    (toy_copy / "generator.gguf").symlink_to("v1.gguf")
    assert Bundle.open(toy_copy).name == "toy"


@pytest.mark.parametrize("name", ["toyy", "", "no/such/folder", "../toy"])
def test_a_miss_lists_the_names_there_are(name: str, monkeypatch: pytest.MonkeyPatch, toy: Path) -> None:
    monkeypatch.setattr("sensecf_edge.bundle.bundle._roots", lambda: [toy.parent])
    with pytest.raises(BundleError, match="shipped models: toy"):
        find(name)


def test_a_name_means_the_shipped_model_even_beside_a_folder_of_that_name(
    monkeypatch: pytest.MonkeyPatch, toy: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("sensecf_edge.bundle.bundle._roots", lambda: [toy.parent])
    (tmp_path / "toy").mkdir()
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find("toy") == toy
    with pytest.raises(BundleError, match=re.escape("mine has no manifest.json")):
        find("mine")
    with pytest.raises(BundleError, match=re.escape("./toy has no manifest.json")):
        find("./toy")


def test_a_bundle_of_format_1_still_opens(toy_copy: Path) -> None:
    turn_to_format_1(toy_copy)
    bundle = Bundle.open(toy_copy)
    assert bundle.density is None and len(bundle.reference.realism_quantiles) == 101
    with Explainer.load(toy_copy) as explainer:
        explanation = explainer.explain(STRESSED)
    assert explanation.found and all(0 <= found.realism <= 100 for found in explanation.found if found.realism is not None)


def test_a_bundle_is_not_written_without_its_files_or_with_a_manifest_nobody_could_read(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy")
    with pytest.raises(BundleError, match=r"target\.threshold cannot be"):
        write_manifest(folder, {**toy_manifest(), "target": {**toy_manifest()["target"], "threshold": 7}})
    (folder / "density.json").unlink()
    with pytest.raises(BundleError, match=r"lacks density\.json"):
        write_manifest(folder, toy_manifest())


def test_the_trained_bundles_are_shipped_and_small() -> None:
    shipped = dict(Bundle.available())
    assert set(SHIPPED) <= set(shipped)
    for name in SHIPPED:
        assert sum(entry.bytes for entry in Bundle.open(name).manifest.files.values()) < 8_000_000


def test_a_shipped_bundle_opens_and_its_samples_fit_its_schema(shipped: str) -> None:
    bundle = Bundle.open(shipped)
    assert bundle.name == shipped and bundle.samples and not bundle.unlisted
    for sample in bundle.samples:
        Record.from_mapping(bundle.schema, sample.values)
    assert bundle.manifest.data.licence in bundle.card
