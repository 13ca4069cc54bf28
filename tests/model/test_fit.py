"""Images of another order, number or file of bands: matched to the model's, or refused with what is missing."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

import s2fin_cli
from s2fin_cli.core.errors import LabelError, ModelFileError, UsageError
from s2fin_cli.model.file import read_info
from s2fin_cli.model.fit import fit_stack
from s2fin_cli.model.info import ModelInfo
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import run as train
from tests.files import read_raster, write_raster
from tests.recipes import SMALL
from tests.scenes import make_image, tiny_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.recipes import SMALL
from tests.scenes import Scene

PLACES = (443.0, 560.0, 665.0, 842.0, 1610.0)


def write_bands(path: Path, values: NDArray[Any], *, places: Sequence[float] = (), names: Sequence[str] = ()) -> Path:
    """A GeoTIFF whose bands have wavelengths in nm or names."""
    write_raster(path, values)
    with rasterio.open(path, "r+") as dst:
        for index, place in enumerate(places, start=1):
            dst.update_tags(index, wavelength=str(place), wavelength_units="nm")
        for index, name in enumerate(names, start=1):
            dst.set_band_description(index, name)
    return path


def trained_on(scene: Scene, folder: Path, hsi: Path | list[Path], **options: Any) -> ModelInfo:
    defaults = tiny_options(scene, folder / "m.s2fin", epochs=1, batch_size=8, validation=0.0)
    given = {**vars(defaults), "hsi": hsi, "lidar": scene.lidar, **options}
    return train(TrainOptions.from_kwargs(given), recipe=SMALL).info


def classified(scene: Scene, folder: Path, hsi: Path | list[Path], name: str, **options: Any) -> NDArray[Any]:
    output = folder / f"map_{name}.tif"
    s2fin_cli.classify(hsi=hsi, lidar=scene.lidar, model=folder / "m.s2fin", output=output, vector=False, **options)
    return read_raster(output)


def test_bands_are_found_by_wavelength_whatever_their_order_and_number(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = make_image(scene.truth)
    hsi = write_bands(tmp_path / "hsi.tif", values, places=PLACES)
    info = trained_on(scene, tmp_path, hsi)
    assert info.bands[0].wavelengths == PLACES
    expected = classified(scene, tmp_path, hsi, "same")
    # another sensor: two more bands, another order, wavelengths a little off
    order = [4, 2, 0, 3, 1]
    more = np.concatenate([values[order[:2]], np.full_like(values[:1], 7), values[order[2:]], values[:1]])
    places = [PLACES[i] + 3 for i in order]
    other = write_bands(tmp_path / "other.tif", more, places=[*places[:2], 700.0, *places[2:], 2200.0])
    caplog.clear()
    with caplog.at_level("INFO"):
        assert np.array_equal(classified(scene, tmp_path, other, "other"), expected)
    assert "bands matched by wavelength: 4, 6, 2, 5, 1" in caplog.text
    # each band in a file of its own
    singles = [write_bands(tmp_path / f"b, {i}.tif", values[i : i + 1], places=PLACES[i : i + 1]) for i in order]
    assert np.array_equal(classified(scene, tmp_path, singles, "singles"), expected)


def test_bands_that_are_missing_are_refused_with_a_table(scene: Scene, tmp_path: Path) -> None:
    values = make_image(scene.truth)
    trained_on(scene, tmp_path, write_bands(tmp_path / "hsi.tif", values, places=PLACES))
    other = write_bands(tmp_path / "other.tif", values, places=(443.0, 500.0, 665.0, 900.0, 1610.0))
    with pytest.raises(ModelFileError) as caught:
        classified(scene, tmp_path, other, "map")
    first, header, *rows = str(caught.value).splitlines()
    assert "lacks 2 of the 5 bands that the model was trained on; give an image of the same sensor:" in first
    assert header.split() == ["model", "nearest", "in", "the", "image"]
    assert [row.split() for row in rows] == [
        ["2:", "560.0", "nm", "2:", "500.0", "nm"],
        ["4:", "842.0", "nm", "4:", "900.0", "nm"],
    ]
    assert not list(tmp_path.glob("map*"))


def test_bands_are_found_by_name(scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values, names = make_image(scene.truth), ("B02", "B03", "B04", "B08", "B11")
    hsi = write_bands(tmp_path / "hsi.tif", values, names=names)
    trained_on(scene, tmp_path, hsi)
    expected = classified(scene, tmp_path, hsi, "same")
    reverse = write_bands(tmp_path / "reverse.tif", values[::-1], names=names[::-1])
    with caplog.at_level("INFO"):
        assert np.array_equal(classified(scene, tmp_path, reverse, "reverse"), expected)
    assert "bands matched by name: 5, 4, 3, 2, 1" in caplog.text


def test_bands_of_which_some_names_are_missing_are_refused_with_a_table(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = make_image(scene.truth)
    hsi = write_bands(tmp_path / "hsi.tif", values, names=("B02", "B03", "B04", "B08", "B11"))
    trained_on(scene, tmp_path, hsi)
    expected = classified(scene, tmp_path, hsi, "same")
    other = write_bands(tmp_path / "other.tif", values, names=("b02 ", "B03", "B04", "B8A", "B12"))
    with pytest.raises(ModelFileError) as caught:
        classified(scene, tmp_path, other, "map")
    first, header, *rows = str(caught.value).splitlines()
    assert "lacks 2 of the 5 bands that the model was trained on; give an image of the same sensor, or choose" in first
    assert header.split() == ["model", "others", "in", "the", "image"]
    assert [row.split() for row in rows] == [["4:", "B08", "4:", "B8A"], ["5:", "B11", "5:", "B12"]]
    assert not list(tmp_path.glob("map.*"))
    # who knows better says so
    assert np.array_equal(classified(scene, tmp_path, other, "chosen", bidx="1..5"), expected)
    assert "bands are taken by number, and band 4 is named 'B8A' where the model had 'B08'" in caplog.text


def test_wavelengths_of_some_bands_are_not_passed_over(scene: Scene, tmp_path: Path) -> None:
    values = make_image(scene.truth)
    hsi = write_bands(tmp_path / "hsi.tif", values, places=PLACES)
    trained_on(scene, tmp_path, hsi)
    expected = classified(scene, tmp_path, hsi, "same")
    reverse = write_bands(tmp_path / "reverse.tif", values[::-1], places=PLACES[:1:-1])  # of the last two none is known
    with pytest.raises(ModelFileError, match="lacks 2 of the 5 bands"):
        classified(scene, tmp_path, reverse, "map")
    more = np.concatenate([values[:1] * 0 + 9, values[::-1]])
    singles = [write_bands(tmp_path / f"{i}.tif", more[i : i + 1], places=PLACES[5 - i : 6 - i]) for i in range(6)]
    assert np.array_equal(classified(scene, tmp_path, singles, "singles"), expected)


def test_bands_taken_by_number_are_warned_of_where_that_may_be_wrong(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = make_image(scene.truth)
    hsi = write_bands(tmp_path / "hsi.tif", values, places=PLACES, names=("blue", "green", "red", "nir", "swir"))
    trained_on(scene, tmp_path, hsi)
    expected = classified(scene, tmp_path, hsi, "same")
    caplog.clear()
    for name, message in (
        ("B", "band 1 is named 'B1' where the model had 'blue'"),
        ("", "as the model knows their wavelengths and the image does not"),
    ):
        names = [f"{name}{number}" if name else "" for number in range(1, 6)]
        other = write_bands(tmp_path / f"other{name}.tif", values, names=names)
        assert np.array_equal(classified(scene, tmp_path, other, f"other{name}"), expected)
        assert message in caplog.text
    with pytest.raises(ModelFileError) as caught:
        classified(scene, tmp_path, write_raster(tmp_path / "four.tif", values[:4]), "map")
    assert [row.split() for row in str(caught.value).splitlines()[1:]] == [
        ["model", "image"], ["1:", "blue", "1"], ["2:", "green", "2"], ["3:", "red", "3"], ["4:", "nir", "4"],
        ["5:", "swir"],
    ]  # fmt: skip


def test_chosen_bands_are_the_models(scene: Scene, tmp_path: Path) -> None:
    values = make_image(scene.truth)
    hsi = write_raster(tmp_path / "hsi.tif", np.concatenate([values, values[:1] * 0 + 9]))
    info = trained_on(scene, tmp_path, hsi, bidx=["1..3,5"])
    assert (info.bands[0].count, info.bands[0].indexes) == (6, (1, 2, 3, 5))
    expected = classified(scene, tmp_path, hsi, "same")
    # the model knows them; another file's are chosen again
    other = write_raster(tmp_path / "other.tif", values[[4, 2, 1, 0]])
    assert np.array_equal(classified(scene, tmp_path, other, "other", bidx="4,3,2,1"), expected)
    with pytest.raises(
        ModelFileError, match=r"6 bands of `hsi` \(uint16\), 4 of them in use, and .* has 4 \(uint16\),"
    ):
        classified(scene, tmp_path, other, "map")
    with pytest.raises(ModelFileError, match=r"has 4 \(uint16\), 2 of them chosen,"):
        classified(scene, tmp_path, other, "map", bidx="1,2")


def test_declared_bad_bands_are_left_out_unless_they_are_chosen(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hsi = write_bands(tmp_path / "hsi.tif", make_image(scene.truth), places=PLACES)
    with rasterio.open(hsi, "r+") as dst:
        dst.update_tags(bbl="{1, 1, 0, 1, 0}")
    assert trained_on(scene, tmp_path, hsi).bands[0].indexes == (1, 2, 4)
    assert "bands that the file declares bad, skipped: 3, 5" in caplog.text
    assert classified(scene, tmp_path, hsi, "map").shape == (1, *scene.truth.shape)
    (tmp_path / "m.s2fin").unlink()
    assert trained_on(scene, tmp_path, hsi, bidx="2..4").bands[0].indexes == (2, 3, 4)


def test_two_detectors_at_one_wavelength_keep_their_order(scene: Scene, model: Path, tmp_path: Path) -> None:
    info = read_info(model)
    places = (443.0, 900.0, 900.0, 1610.0, 2200.0)
    bands = info.bands[0]
    known = ModelInfo(**{**vars(info), "bands": (type(bands)(**{**vars(bands), "wavelengths": places}), info.bands[1])})
    hsi = write_bands(tmp_path / "hsi.tif", make_image(scene.truth), places=places)
    stack = build_stack({"hsi": [str(hsi)], "lidar": [str(scene.lidar)]})
    assert fit_stack(known, stack).image.numbers == (1, 2, 3, 4, 5)


def test_the_real_bands_of_noise_are_left_out(
    real_scenes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The scene has labels of one class only, so training goes as far as that."""
    folder = real_scenes / "neon_sjer"
    options: dict[str, Any] = {"hsi": folder / "sjer_hsi426.tif", "lidar": folder / "SJER_052_CHM.tif"}
    with pytest.raises(LabelError, match="all labels are of one class"):
        s2fin_cli.train(**options, labels=folder / "sjer_tree_boxes.gpkg", output=tmp_path / "m.s2fin")
    assert "bands of noise, as where water vapour absorbs, skipped: 197, 198, 201, 291..299, 305, 306" in caplog.text


def declare(path: Path, *, scale: float, offset: float) -> Path:
    with rasterio.open(path, "r+") as dst:
        dst.scales, dst.offsets = [scale] * dst.count, [offset] * dst.count
    return path


def test_the_same_values_stored_in_another_way_give_the_same_map(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "m.s2fin").write_bytes(model.read_bytes())
    values = make_image(scene.truth)
    expected = classified(scene, tmp_path, scene.hsi, "plain")
    shifted = declare(write_raster(tmp_path / "shifted.tif", values + 1000), scale=1, offset=-1000)
    assert np.array_equal(classified(scene, tmp_path, shifted, "shifted"), expected)
    halves = declare(write_raster(tmp_path / "halves.tif", values * 2), scale=0.5, offset=0)
    assert np.array_equal(classified(scene, tmp_path, halves, "halves"), expected)
    decimetres = (read_raster(scene.lidar) * 10).astype(np.float32)
    with rasterio.open(scene.lidar) as src:
        lidar = write_raster(tmp_path / "dm.tif", decimetres, transform=src.transform)
    s2fin_cli.classify(
        hsi=scene.hsi,
        lidar=declare(lidar, scale=0.1, offset=0),
        model=model,
        output=tmp_path / "dm_map.tif",
        vector=False,
    )
    assert (read_raster(tmp_path / "dm_map.tif") == expected).mean() > 0.999  # tenths are rounded once more
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_values_of_another_unit_are_refused_with_what_both_files_declare(scene: Scene, tmp_path: Path) -> None:
    values = make_image(scene.truth)
    reflectance = declare(write_raster(tmp_path / "r.tif", values), scale=1e-4, offset=-0.1)
    info = trained_on(scene, tmp_path, reflectance)
    assert (info.bands[0].scales, info.bands[0].offsets) == ((1e-4,) * 5, (-0.1,) * 5)
    assert info.bands[0].low[0] == pytest.approx(np.percentile(values[0], 2) * 1e-4 - 0.1, rel=0.02)
    with pytest.raises(ModelFileError, match=r"\(uint16\) has values .* uint16, declared scale 0.0001 and offset -0.1"):
        classified(scene, tmp_path, scene.hsi, "plain")


def test_resampling_of_stored_values_that_means_another_thing_is_refused(
    scene: Scene, model: Path, tmp_path: Path
) -> None:
    with rasterio.open(scene.lidar) as src:
        lidar = write_raster(tmp_path / "l.tif", src.read(), transform=src.transform)
    declare(lidar, scale=-1, offset=5)
    for method in ("rms", "q1"):
        with pytest.raises(
            UsageError, match=f"`resampling='{method}'` cannot be used for `lidar` .* scale -1 and offset 5"
        ):
            s2fin_cli.classify(hsi=scene.hsi, lidar=lidar, resampling=method, output=tmp_path / "o.tif", model=model)


def test_heights_declared_in_feet_are_those_in_metres(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="s2fin_cli")
    (tmp_path / "m.s2fin").write_bytes(model.read_bytes())
    expected = classified(scene, tmp_path, scene.hsi, "metres")
    for unit, metres in (("ft", 0.3048), ("US survey foot", 1200 / 3937)):
        with rasterio.open(scene.lidar) as src:
            lidar = write_raster(
                tmp_path / "feet.tif", (src.read() / metres).astype(np.float32), transform=src.transform
            )
        with rasterio.open(lidar, "r+") as dst:
            dst.units = [unit]
        s2fin_cli.classify(
            hsi=scene.hsi, lidar=lidar, model=model, output=tmp_path / "feet_map.tif", vector=False, overwrite=True
        )
        assert (read_raster(tmp_path / "feet_map.tif") == expected).mean() > 0.999
        assert "its heights are declared in feet and are read in metres" in caplog.text
        caplog.clear()


def test_single_bands_of_another_magnitude_are_warned_of(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "m.s2fin").write_bytes(model.read_bytes())
    for name, value in (("zero", 0), ("huge", 60000)):
        values = make_image(scene.truth)
        values[3] = value
        classified(scene, tmp_path, write_raster(tmp_path / f"{name}.tif", values), name)
        assert f"band 4 has values up to about {value:.4g}, where the model was trained on" in caplog.text
        assert "band 3" not in caplog.text
        caplog.clear()


def test_bands_marked_as_other_colors_are_warned_of(
    scene: Scene, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    info, stack = read_info(model), build_stack({"hsi": [str(scene.hsi)], "lidar": [str(scene.lidar)]})
    bands = replace(info.bands[0], colors=("red", "green", "blue", "", ""))
    info = replace(info, bands=(bands, *info.bands[1:]))
    for colors, is_warned in ((("blue", "green", "red", "", ""), True), (("red", "green", "blue", "nir", ""), False)):
        raster = replace(stack.image.rasters[0], colors=colors)
        fit_stack(info, replace(stack, image=replace(stack.image, rasters=(raster,))))
        assert ("band 1 is marked as blue where the model had red" in caplog.text) == is_warned
        caplog.clear()


def test_colder_places_are_only_warned_of(scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Temperatures of one unit differ by any factor: 1 and 30 degrees Celsius."""
    with rasterio.open(scene.lidar) as src:
        warm, transform = src.read() + 25, src.transform
    thermal = write_raster(tmp_path / "warm.tif", warm, transform=transform)
    trained_on(scene, tmp_path, scene.hsi, lidar=None, thermal=thermal)
    cold = write_raster(tmp_path / "cold.tif", warm / 40, transform=transform)
    s2fin_cli.classify(
        hsi=scene.hsi, thermal=cold, model=tmp_path / "m.s2fin", output=tmp_path / "map.tif", vector=False
    )
    assert "are both in the same unit?" in caplog.text
