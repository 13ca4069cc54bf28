"""Label rasters: which values are classes, and how they come onto the grid."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from affine import Affine

from s2fin_cli.core.classes import make_classes
from s2fin_cli.core.errors import GeoreferencingError, LabelError, RasterError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.labels.read import read_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.raster.class_map import create_class_map
from tests.files import write_raster
from tests.labels.places import SOUTH_UP, pixels, write_table
from tests.rectangles import GRID, counts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def label_raster() -> NDArray[Any]:
    values = np.zeros((40, 50), dtype="uint8")
    values[3:6, 7:9] = 4
    values[20, 30] = 200
    return values


def test_a_label_raster(tmp_path: Path) -> None:
    labels = read_labels(write_raster(tmp_path / "gt.tif", label_raster()), GRID)
    assert labels.kind == "raster"
    assert labels.ids_are_given
    assert counts(labels) == {"4": 6, "200": 1}
    assert set(labels.groups.tolist()) == {0}
    assert pixels(labels) == {(r, c, 4) for r in (3, 4, 5) for c in (7, 8)} | {(20, 30, 200)}


def test_a_raster_has_neither_fields_nor_a_buffer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_raster(tmp_path / "gt.tif", label_raster())
    assert counts(read_labels(path, GRID, rules=LabelRules("land"))) == {"4": 6, "200": 1}
    assert "is a raster and has no fields; `label_field` ('land') is ignored" in caplog.text
    with pytest.raises(LabelError, match="`label_buffer` applies to points and lines, and the labels are a raster"):
        read_labels(path, GRID, rules=LabelRules(buffer=5))


def test_a_label_raster_with_its_own_nodata(tmp_path: Path) -> None:
    values = np.full((40, 50), -1, dtype="int16")
    values[0, :3] = 0
    values[1, :4] = 9
    labels = read_labels(write_raster(tmp_path / "gt.tif", values, nodata=-1), GRID)
    assert counts(labels) == {"0": 3, "9": 4}


def test_a_label_raster_on_another_grid(tmp_path: Path) -> None:
    finer = np.repeat(np.repeat(label_raster(), 2, axis=0), 2, axis=1)
    path = write_raster(tmp_path / "fine.tif", finer, transform=GRID.transform @ Affine.scale(0.5))
    assert pixels(read_labels(path, GRID)) == pixels(
        read_labels(write_raster(tmp_path / "gt.tif", label_raster()), GRID)
    )
    assert pixels(read_labels(path, SOUTH_UP)) == {
        (39 - row, col, class_id) for row, col, class_id in pixels(read_labels(path, GRID))
    }
    small = write_raster(
        tmp_path / "small.tif", np.full((4, 4), 7, dtype="uint8"), transform=GRID.transform @ Affine.translation(48, 37)
    )
    assert counts(read_labels(small, GRID)) == {"7": 6}


def test_messages_about_a_label_raster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read_labels(write_raster(tmp_path / "gt.tif", label_raster()), GRID)
        read_labels(write_raster(tmp_path / "nd.tif", label_raster(), nodata=200), GRID)
    assert "labels: 0 means unlabelled in" in caplog.text
    assert "labels: 200 means unlabelled in" in caplog.text


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("void", "nodata"), [(0, None), (np.nan, None), (np.nan, np.nan), (-9999, -9999)])
def test_whole_numbers_in_floating_point_are_classes(
    tmp_path: Path, dtype: str, void: float, nodata: float | None
) -> None:
    values = np.where(label_raster() == 0, void, label_raster().astype(dtype)).astype(dtype)
    labels = read_labels(write_raster(tmp_path / "gt.tif", values, nodata=nodata), GRID)
    assert counts(labels) == {"4": 6, "200": 1}
    assert pixels(labels) == {(r, c, 4) for r in (3, 4, 5) for c in (7, 8)} | {(20, 30, 200)}


def test_an_undeclared_void_in_floating_point_is_no_class(tmp_path: Path) -> None:
    values = np.where(label_raster() == 0, -9999, label_raster().astype("float32"))
    with pytest.raises(LabelError, match=r"a map cannot hold class -9999; .*rio edit-info --nodata -9999"):
        read_labels(write_raster(tmp_path / "gt.tif", values), GRID)


def test_label_rasters_of_the_wrong_kind(tmp_path: Path) -> None:
    bands = write_raster(tmp_path / "bands.tif", np.stack([label_raster()] * 3))
    with pytest.raises(
        LabelError, match=r"bands\.tif holds 3 bands of .*; give a raster with one band of class numbers"
    ):
        read_labels(bands, GRID)
    waves = write_raster(tmp_path / "waves.tif", np.ones((40, 50), dtype="complex64"))
    with pytest.raises(RasterError, match=r"waves\.tif holds complex values"):
        read_labels(waves, GRID)


def test_a_label_raster_without_crs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bare = Grid(None, GRID.transform, GRID.shape)
    elsewhere = GRID.transform @ Affine.translation(7, 0)
    path = write_raster(tmp_path / "gt.tif", label_raster(), crs=None, transform=elsewhere)
    with pytest.raises(
        GeoreferencingError, match=r"neither the image nor .*gt\.tif has a CRS, and their extents differ"
    ):
        read_labels(path, bare)
    read_labels(write_raster(tmp_path / "fit.tif", label_raster(), crs=None), bare)
    assert "fit.tif has no CRS either; it is assumed to match the image pixel by pixel" in caplog.text


def test_label_rasters_that_cannot_be_used(tmp_path: Path) -> None:
    shares = write_raster(tmp_path / "share.tif", np.where(label_raster() == 200, 0.5, 1).astype("float32"))
    with pytest.raises(
        LabelError, match=r"share\.tif holds 0\.5 at row 20, column 30 of the image; class numbers must be whole .*rint"
    ):
        read_labels(shares, GRID)
    empty = write_raster(tmp_path / "empty.tif", np.zeros((40, 50), dtype="uint8"))
    with pytest.raises(LabelError, match=r"empty\.tif: no labelled pixel is in the image"):
        read_labels(empty, GRID)
    negative = write_raster(tmp_path / "negative.tif", np.full((40, 50), -3, dtype="int16"))
    with pytest.raises(
        LabelError, match=r"a map cannot hold class -3; number classes from 0 to 65535, or.*--nodata -3"
    ):
        read_labels(negative, GRID)
    bare = write_raster(tmp_path / "bare.tif", label_raster(), crs=None)
    with pytest.raises(
        GeoreferencingError, match=r"bare\.tif has no CRS but the image has EPSG:32632; .*rio edit-info"
    ):
        read_labels(bare, GRID)
    with pytest.raises(GeoreferencingError, match="their sizes differ"):
        read_labels(bare, Grid(None, GRID.transform, (41, 50)))
    assert counts(read_labels(bare, Grid(None, GRID.transform, (40, 50)))) == {"4": 6, "200": 1}


def test_a_class_table_names_the_numbers_of_a_raster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.zeros((40, 50), np.uint8)
    values[0, :3], values[1, :4], values[2, :5] = 1, 2, 3
    path = write_raster(tmp_path / "gt.tif", values)
    table = write_table(tmp_path / "t.csv", "id,name\n1,sea\n2,reef\n9,sand")
    labels = read_labels(path, GRID, rules=LabelRules(classes=table))
    assert counts(labels) == {"sea": 3, "reef": 4}
    assert "skipped 5 pixels of classes that are not in the class table: 3" in caplog.text
    with pytest.raises(LabelError, match="none of its classes is in the class table"):
        read_labels(path, GRID, rules=LabelRules(classes=table[2:]))


def test_a_map_of_ours_as_labels_has_its_names(tmp_path: Path) -> None:
    classes = make_classes({4: "sea", 7: "reef"})
    with create_class_map(tmp_path / "map.tif", GRID, classes, tags={}) as writer:
        writer.write(np.where(np.arange(2000).reshape(1, 40, 50) < 5, 7, 4).astype("uint8"), GRID.window)
    assert counts(read_labels(tmp_path / "map.tif", GRID)) == {"sea": 1995, "reef": 5}


def label_values() -> NDArray[np.uint8]:
    values = np.zeros(GRID.shape, np.uint8)
    values[:10], values[10:20] = 1, 2
    return values


def test_a_mask_says_what_is_unlabelled_and_0_is_a_class_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="s2fin_cli")
    mask = np.ones(GRID.shape, bool)
    mask[5:15] = False
    values = label_values()
    with_mask = write_raster(tmp_path / "a.tif", values, mask=mask, transform=GRID.transform)
    with_alpha = write_raster(tmp_path / "b.tif", values, alpha=mask, transform=GRID.transform)
    for path in (with_mask, with_alpha):
        labels = read_labels(path, GRID)
        assert labels.counts() == {c: int((mask & (values == c)).sum()) for c in (0, 1, 2)}
        assert f"masked pixels are unlabelled in {path}" in caplog.text


def test_the_highest_number_that_fills_labels_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.where(label_values() > 0, label_values(), 255).astype(np.uint8)
    few = read_labels(write_raster(tmp_path / "a.tif", values, transform=GRID.transform), GRID)
    share = 100 * few.counts()[255] / len(few)
    is_warned = "have class 255, the highest number that there is" in caplog.text
    assert is_warned == (share > 50)
    caplog.clear()
    values[4:] = 255
    path = write_raster(tmp_path / "b.tif", values, transform=GRID.transform)
    read_labels(path, GRID)
    assert f"declare it with: rio edit-info --nodata 255 {path}" in caplog.text


def test_labels_that_jpeg_has_changed_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", label_values(), transform=GRID.transform, compress="jpeg")
    with pytest.raises(LabelError, match="compressed by JPEG, which changes class numbers"):
        read_labels(path, GRID)


def test_metres_that_are_called_degrees_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", label_values(), crs="EPSG:4326", transform=GRID.transform)
    with pytest.raises(GeoreferencingError, match=r"is declared to be in degrees, but covers x .*rio edit-info --crs"):
        read_labels(path, GRID)
