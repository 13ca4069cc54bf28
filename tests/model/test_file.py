from __future__ import annotations

import ast
import json
import logging
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from affine import Affine
from safetensors import safe_open
from safetensors.torch import save_file

import s2fin
import s2fin_cli
from s2fin_cli.core.errors import ModelFileError
from s2fin_cli.model import file as modelfile
from s2fin_cli.model.file import read_info, read_model, read_parts, write_model
from s2fin_cli.model.header import find_model
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.train import run as train
from tests.files import TRANSFORM, read_raster, write_raster
from tests.recipes import QUICK
from tests.scenes import SHAPE, Scene, make_heights, make_image, tiny_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2fin_cli.workflows.train import TrainResult


def parts(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def rewrite(
    src_path: Path,
    dst_path: Path,
    *,
    change: Callable[[dict[str, Any]], None] = lambda description: None,
    weights: dict[str, torch.Tensor] | None = None,
) -> Path:
    """A model file with another description or other weights, and the right checksum for them."""
    own, metadata = parts(src_path)
    weights = own if weights is None else weights
    description = json.loads(metadata["s2fin"])
    change(description)
    del description["sha256"]
    description["sha256"] = modelfile._checksum(description, weights)
    save_file(weights, dst_path, metadata={"s2fin": json.dumps(description)})
    return dst_path


def message(path: Path, *, of: Callable[[Path], object] = read_model) -> str:
    """The message of the one error that reading raises."""
    with pytest.raises(ModelFileError) as caught:
        of(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_round_trip(trained: TrainResult, tmp_path: Path) -> None:
    network, info, reference = read_parts(trained.model)
    assert info == trained.info
    assert info == read_info(trained.model)
    assert not network.training
    assert reference is not None
    write_model(tmp_path / "again.s2fin", network, info=info, reference=reference)
    assert (tmp_path / "again.s2fin").read_bytes() == trained.model.read_bytes()


def test_the_file_holds_safetensors_and_json_only(trained: TrainResult) -> None:
    assert not zipfile.is_zipfile(trained.model), "torch.save writes a zip of pickles"
    weights, metadata = parts(trained.model)
    assert set(metadata) == {"s2fin"}
    description = json.loads(metadata["s2fin"])
    assert [c["name"] for c in description["classes"]] == ["forest", "meadow", "water"]
    assert {b["modality"]: b["count"] for b in description["bands"]} == {"hsi": 5, "lidar": 1}
    header = 8 + int.from_bytes(trained.model.read_bytes()[:8], "little")
    assert trained.model.stat().st_size == header + sum(t.numel() * t.element_size() for t in weights.values())


@pytest.mark.parametrize("package", [s2fin_cli, s2fin])
def test_nothing_in_the_code_unpickles(package: Any) -> None:
    sources = list(Path(package.__path__[0]).rglob("*.py"))
    assert sources
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                imported = names | {getattr(node, "module", None)}
                if names == {"Parallel", "delayed"}:  # joblib's, that run functions and read no file
                    imported -= {"joblib"}
                assert not imported & {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}, source
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("torch", "load"), ("np", "load")}, source
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, source


def test_missing_file(tmp_path: Path) -> None:
    assert "there is no model file" in message(tmp_path / "none.s2fin")
    assert "there is no model file" in message(tmp_path)


@pytest.mark.parametrize("size", [0, 4, 8, 100, 20_000, -1])
def test_truncated_file(model: Path, tmp_path: Path, size: int) -> None:
    damaged = tmp_path / "cut.s2fin"
    damaged.write_bytes(model.read_bytes()[:size])
    assert "damaged" in message(damaged)


def test_random_bytes(tmp_path: Path) -> None:
    damaged = tmp_path / "noise.s2fin"
    for seed in range(20):
        damaged.write_bytes(np.random.default_rng(seed).bytes(1000))
        assert "damaged" in message(damaged)


def test_a_wrong_bit_is_noticed_or_means_the_same(trained: TrainResult, tmp_path: Path) -> None:
    content = trained.model.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    generator = np.random.default_rng(0)
    damaged = tmp_path / "flipped.s2fin"
    for position in [*range(8), *generator.integers(8, header, size=150), *generator.integers(header, len(content), 5)]:
        changed = bytearray(content)
        changed[position] ^= 1 << int(generator.integers(8))
        damaged.write_bytes(changed)
        try:
            network, info = read_model(damaged)
        except ModelFileError as error:
            assert str(damaged) in str(error)  # noqa: PT017  it need not be raised
        else:  # e.g. 1E-05 for 1e-05
            assert info == trained.info
            weights = read_model(trained.model)[0].state_dict()
            assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_foreign_safetensors(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.s2fin"
    save_file({"weight": torch.zeros(3)}, foreign)
    assert "not of an s2fin model" in message(foreign)
    save_file({"weight": torch.zeros(3)}, foreign, metadata={"s2fin": "[1, 2"})
    assert "damaged" in message(foreign)


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "{}", '{"format": "1"}', '{"format": 1, "bands": "abc"}'])
def test_descriptions_of_another_form(tmp_path: Path, text: str) -> None:
    foreign = tmp_path / "foreign.s2fin"
    save_file({"weight": torch.zeros(3)}, foreign, metadata={"s2fin": text})
    assert "damaged" in message(foreign, of=read_info)


def test_later_format(model: Path, tmp_path: Path) -> None:
    def later(description: dict[str, Any]) -> None:
        description.update(format=99, versions={"s2fin": "9.1", "torch": "9"})

    text = message(rewrite(model, tmp_path / "later.s2fin", change=later))
    assert "s2fin 9.1 in format 99" in text
    assert "update s2fin" in text


def test_weights_that_are_not_finite(model: Path, tmp_path: Path) -> None:
    weights, _ = parts(model)
    weights["head.classify.bias"][0] = torch.nan
    assert "not finite" in message(rewrite(model, tmp_path / "nan.s2fin", weights=weights))


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 40},
        {"num_classes": 9},
        {"num_classes": 1},
        {"width": "80"},
        {"layers": 3},
        {"depth": 2},
        {"components": 3},
        {"afcm": False},
        {"context_size": 7},
        {"context_size": 11},
        {"context_width": 64},
    ],
)
def test_an_architecture_that_does_not_fit_the_weights(model: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    text = message(rewrite(model, tmp_path / "other.s2fin", change=lambda d: d["architecture"].update(changes)))
    assert "do not fit its description" in text


# ---- files of earlier formats ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("of", [read_model, read_info])
def test_a_file_of_an_earlier_network_is_refused_with_the_remedy(
    model: Path, tmp_path: Path, of: Callable[[Path], object], version: int
) -> None:
    def earlier(description: dict[str, Any]) -> None:
        description.update(format=version, versions={"s2fin": "0.9.1", "torch": "2.7"})
        description["architecture"]["far_side"] = 13  # whatever its networks had

    text = message(rewrite(model, tmp_path / "old.s2fin", change=earlier), of=of)
    assert f"s2fin 0.9.1 in format {version}" in text
    assert text.endswith("train again")
    assert "damaged" not in text


@pytest.mark.parametrize("version", [1, 2, 3])
def test_nothing_is_classified_with_an_earlier_network(scene: Scene, model: Path, tmp_path: Path, version: int) -> None:
    path = rewrite(model, tmp_path / "old.s2fin", change=lambda description: description.update(format=version))
    with pytest.raises(ModelFileError, match="train again"):
        classify(ClassifyOptions(**scene.images, model=path, output=tmp_path / "map.tif"))
    assert [file.name for file in tmp_path.iterdir()] == ["old.s2fin"]


# ---- where the model is found ----------------------------------------------------------------------------------------


def test_find_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("S2FIN_MODEL", raising=False)
    with pytest.raises(ModelFileError, match=r"no model: there is no model\.s2fin in .* and \$S2FIN_MODEL is not set"):
        find_model(None)
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("S2FIN_MODEL", "elsewhere.s2fin")
    assert find_model(None) == Path("elsewhere.s2fin")
    assert "named by $S2FIN_MODEL" in caplog.text
    Path("model.s2fin").touch()
    assert find_model(None) == Path("model.s2fin")
    assert "found in the current directory" in caplog.text
    assert find_model("given.s2fin") == Path("given.s2fin")


# ---- whether a model fits images -------------------------------------------------------------------------------------


def refused(tmp_path: Path, model: Path, **images: Path) -> str:
    """The message of a refusal before anything is computed, which leaves no output behind."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    with pytest.raises(ModelFileError) as caught:
        prepare(ClassifyOptions(**images, model=model, output=folder / "map.tif"))  # type: ignore[arg-type]
    assert list(folder.iterdir()) == []
    return str(caught.value)


def test_another_number_of_bands_is_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    fewer = write_raster(tmp_path / "fewer.tif", make_image(scene.truth)[:4])
    text = refused(tmp_path, model, hsi=fewer, lidar=scene.lidar)
    assert "trained on 5 bands of `hsi` (uint16)" in text
    assert "has 4 (uint16), and neither wavelengths nor names show which are the same" in text


def test_other_modalities_are_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    given = {
        "; `lidar` is missing": {"hsi": scene.hsi},
        "; it was not trained with `sar`": {**scene.images, "sar": scene.lidar},
        "; `hsi` is missing, and it was not trained with `msi`": {"msi": scene.hsi, "lidar": scene.lidar},
    }
    for number, (name, images) in enumerate(given.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        text = refused(folder, model, **images)
        assert "the model needs `hsi` and `lidar`" in text
        assert name in text


def test_values_in_another_unit_are_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    reflectance = write_raster(tmp_path / "reflectance.tif", make_image(scene.truth).astype(np.float32) / 10_000)
    text = refused(tmp_path, model, hsi=reflectance, lidar=scene.lidar)
    assert "(float32) has values of about 0.01" in text
    assert "trained on uint16 values" in text
    assert "same unit" in text


def test_values_that_may_be_in_another_unit_are_warned_of(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    darker = write_raster(tmp_path / "darker.tif", make_image(scene.truth) // 10)
    options: dict[str, Any] = {"lidar": scene.lidar, "model": model, "vector": False}
    classify(ClassifyOptions(hsi=darker, output=tmp_path / "map.tif", **options))
    assert "`hsi`" in caplog.text
    assert "are both in the same unit?" in caplog.text
    caplog.clear()
    classify(ClassifyOptions(hsi=scene.hsi, output=tmp_path / "same.tif", **options))
    assert "unit" not in caplog.text


def test_heights_of_another_place_are_only_warned_of(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    higher = write_raster(tmp_path / "higher.tif", make_heights(scene.truth) + 2000)
    classify(ClassifyOptions(hsi=scene.hsi, lidar=higher, model=model, output=tmp_path / "map.tif", vector=False))
    assert "are both in the same unit?" in caplog.text
    assert (tmp_path / "map.tif").is_file()


def test_another_resolution_is_only_warned_of(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    coarser = write_raster(
        tmp_path / "coarser.tif", make_image(scene.truth)[:, ::2, ::2], transform=TRANSFORM * Affine.scale(2)
    )
    options = ClassifyOptions(hsi=coarser, lidar=scene.lidar, model=model, output=tmp_path / "map.tif", vector=False)
    classify(options)
    assert "trained on pixels of 10 x 10 and these have 20 x 20" in caplog.text
    assert read_raster(tmp_path / "map.tif").shape[1:] == (SHAPE[0] // 2, SHAPE[1] // 2)


def test_empty_bands_are_left_out_of_the_model(scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = make_image(scene.truth).astype(np.float32)
    values[1], values[3] = np.nan, 7.0
    hsi = write_raster(tmp_path / "gaps.tif", values)
    info = train(tiny_options(scene, tmp_path / "m.s2fin", epochs=1, hsi=hsi), recipe=QUICK).info
    assert "bands without any data, skipped: 2" in caplog.text
    assert "bands with one value throughout, skipped: 4" in caplog.text
    assert info.bands[0].indexes == (1, 3, 5)
    assert info.bands[0].count == 5
    assert info.architecture["in_channels"] == 3
    result = s2fin_cli.classify(hsi=hsi, lidar=scene.lidar, model=tmp_path / "m.s2fin", output=tmp_path / "map.tif")
    assert result.nodata_pixels == 0
