"""MATLAB files, made here in both versions, turned into GeoTIFFs that train and classify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import scipy.io
from affine import Affine

from s2fin_cli.labels.read import read_labels
from s2fin_cli.raster.info import read_info
from tests.files import read_raster

if TYPE_CHECKING:
    from tests.scenes import Run

CUBE = np.random.default_rng(0).integers(0, 9000, (20, 30, 4)).astype("uint16")
LABELS = np.random.default_rng(1).integers(0, 4, (20, 30)).astype("uint8")
PLACED = ("--transform", "2.5", "0", "271460", "0", "-2.5", "3290290")
PLACES = np.array([450.0, 550, 650, 850])


def write_mat(path: Path, *, version: str, **arrays: Any) -> Path:
    """A MATLAB file of either version; in the latter the dimensions are the other way round, as MATLAB writes them."""
    if version == "5":
        scipy.io.savemat(path, arrays)
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in arrays.items():
            if isinstance(value, dict):
                for field, part in value.items():
                    file[f"{name}/{field}"] = np.asarray(part).T
            else:
                file[name] = np.asarray(value).T
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file")
    return path


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_a_cube_becomes_a_geotiff(run: Run, tmp_path: Path, version: str) -> None:
    write_mat(tmp_path / "a.mat", version=version, data=CUBE, wavelength=PLACES[None])
    result = run(
        "convert", "a.mat", "-o", "a.tif", "--crs", "EPSG:32615", "--wavelengths", "wavelength",
        "--transform", 2.5, 0, 271_460, 0, -2.5, 3_290_290,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert np.array_equal(read_raster(tmp_path / "a.tif"), np.moveaxis(CUBE, 2, 0))
    info = read_info(tmp_path / "a.tif")
    assert info.dtype == "uint16"
    assert info.wavelengths == tuple(PLACES)
    assert info.grid.crs == "EPSG:32615"
    assert info.grid.transform == Affine(2.5, 0, 271_460, 0, -2.5, 3_290_290)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_fields_of_structures_and_several_arrays(run: Run, tmp_path: Path, version: str) -> None:
    heights = np.random.default_rng(2).random((20, 30))
    write_mat(
        tmp_path / "a.mat",
        version=version,
        hsi={"Data": CUBE, "info": {"bands": 4} if version == "5" else [4]},
        gt=LABELS,
        z=heights,
    )
    result = run("convert", "a.mat", "-o", "a.tif")
    assert result.exit_code == 2
    assert "holds 3 arrays that could be images; choose one with --variable:" in result.stderr
    for line in ("hsi.Data: 20 x 30 x 4 uint16", "gt: 20 x 30 uint8", "z: 20 x 30 float64"):
        assert f"  {line}\n" in result.stderr
    assert run("convert", "a.mat", "-o", "a.tif", "--variable", "hsi.Data").exit_code == 0
    assert np.array_equal(read_raster(tmp_path / "a.tif"), np.moveaxis(CUBE, 2, 0))
    result = run("convert", "a.mat", "-o", "z.tif", "--variable", "z", "--json")
    assert json.loads(result.stdout) == {"output": "z.tif", "shape": [20, 30]}
    assert np.array_equal(read_raster(tmp_path / "z.tif")[0], heights.astype("float32"))
    assert read_info(tmp_path / "a.tif").grid.crs is None


def test_cells_have_numbers(run: Run, tmp_path: Path) -> None:
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = {"z": LABELS}, {"z": LABELS + 1}
    write_mat(tmp_path / "a.mat", version="5", hsi={"Lidar": cells})
    assert run("convert", "a.mat", "-o", "a.tif", "--variable", "hsi.Lidar.2.z").exit_code == 0
    assert np.array_equal(read_raster(tmp_path / "a.tif")[0], LABELS + 1)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_labels_have_names_and_colours(run: Run, tmp_path: Path, version: str) -> None:
    write_mat(tmp_path / "gt.mat", version=version, gt=LABELS.astype(float))
    (tmp_path / "t.csv").write_text("id,name,color\n1,roof,#112233\n2,grass,\n3,tree,\n")
    result = run("convert", "gt.mat", "-o", "gt.tif", "--classes", "t.csv")
    assert result.exit_code == 0, result.stderr
    assert np.array_equal(read_raster(tmp_path / "gt.tif")[0], LABELS)
    labels = read_labels(tmp_path / "gt.tif", read_info(tmp_path / "gt.tif").grid)
    assert [(c.id, c.name) for c in labels.classes] == [(1, "roof"), (2, "grass"), (3, "tree")]
    (tmp_path / "short.csv").write_text("id,name\n1,roof\n2,grass\n")
    result = run("convert", "gt.mat", "-o", "x.tif", "--classes", "short.csv")
    assert (result.exit_code, "holds class 3, which is not in the class table" in result.stderr) == (1, True)


def test_data_types_that_a_geotiff_does_not_hold(run: Run, tmp_path: Path) -> None:
    for name, values, dtype in (
        ("logical", LABELS > 1, "uint8"),
        ("int64", LABELS.astype("int64") - 2, "int32"),
        ("large", LABELS.astype("uint64") + 2**40, "float32"),
    ):
        write_mat(tmp_path / f"{name}.mat", version="5", a=values)
        assert run("convert", f"{name}.mat", "-o", f"{name}.tif").exit_code == 0
        assert read_info(tmp_path / f"{name}.tif").dtype == dtype
        assert np.array_equal(read_raster(tmp_path / f"{name}.tif")[0], values.astype(dtype))


def test_what_cannot_be_converted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mat(tmp_path / "a.mat", version="5", a=CUBE)
    write_mat(tmp_path / "complex.mat", version="5", a=CUBE * 1j)
    write_mat(tmp_path / "tiny.mat", version="5", a=np.ones((2, 3)))
    write_mat(tmp_path / "b.mat", version="7.3", a=CUBE)
    (tmp_path / "bad.mat").write_bytes(b"no MATLAB file at all, but a text")
    (tmp_path / "nm.txt").write_text("450, 550 650")
    for arguments, code, message in (
        (("none.mat", "-o", "x.tif"), 1, "none.mat does not exist"),
        (("bad.mat", "-o", "x.tif"), 1, "bad.mat is not a MATLAB file that can be read"),
        (("complex.mat", "-o", "x.tif"), 1, "holds complex values"),
        (
            ("tiny.mat", "-o", "x.tif"),
            2,
            "and bands with at least 8 rows and columns",
        ),
        (("a.mat", "-o", "x.png"), 2, "rasters are GeoTIFFs; give a name that ends in .tif"),
        (("a.mat", "-o", "x.tif", "--variable", "b"), 2, "holds no image 'b'; it holds:\n  a: 20 x 30 x 4 uint16"),
        (("a.mat", "-o", "x.tif", "--crs", "EPSG:0", *PLACED), 2, "--crs is 'EPSG:0', which is not a CRS"),
        (("a.mat", "-o", "x.tif", "--crs", "EPSG:32615"), 2, "the pixels in it; give --transform too"),
        (("a.mat", "-o", "x.tif", "--transform", *"000000"), 2, "six numbers that give pixels a size"),
        (("a.mat", "-o", "x.tif", "--transform", *"111020"), 2, "of a grid that is not rotated"),
        (("a.mat", "-o", "x.tif", "--wavelengths", "nm.txt"), 2, "nm.txt holds 3 wavelengths, but there are 4 bands"),
        (("a.mat", "-o", "x.tif", "--wavelengths", "gone"), 2, "neither a variable of a.mat nor a file of numbers"),
    ):
        result = run("convert", *arguments)
        assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("convert", "b.mat", "-o", "x.tif")
    assert (result.exit_code, "pip install 's2fin[mat]'" in result.stderr) == (2, True)
    assert not list(tmp_path.glob("x.*"))
