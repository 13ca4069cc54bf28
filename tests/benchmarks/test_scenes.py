"""Scenes described by a file in their folder, measured like the known ones."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import rasterio

import accuracy
import subject
from peers import PEERS
from protocols import draw
from records import Run, read_records
from scenes import SCENES, load, read_scene
from subject_teachers import NoTeacher
from tests.files import write_raster
from tests.recipes import QUICK
from tests.teachers import Undecided, Watched

if TYPE_CHECKING:
    from s2fin_cli.teaching.teacher import Lesson, Questions

DESCRIPTION = 'labels = "labels.tif"\nimages = {msi = "image.tif"}\n'
SIDE = 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scene of two classes in stripes, which its two bands separate."""
    classes = (np.indices((SIDE, SIDE))[1] // 10 % 2 + 1).astype(np.uint8)
    bands = np.random.default_rng(0).normal(100.0 * classes, 1, (2, SIDE, SIDE)).astype(np.float32)
    folder = tmp_path / "own"
    folder.mkdir()
    for name, values in (("image.tif", bands), ("labels.tif", classes[None])):
        write_raster(folder / name, values)
    (folder / "scene.toml").write_text(DESCRIPTION)
    return folder


def test_an_own_scene_is_measured_like_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = folder.parent / "results.csv"
    table = folder.parent / "table.md"
    options = ["--protocols", "blocks", "--counts", "5", "--seeds", "0,", "--methods", "RF"]
    monkeypatch.setattr(
        "sys.argv", ["", "--scenes", str(folder), *options, "--results", str(results), "--table", str(table)]
    )
    assert accuracy.main() == 0
    (record,) = read_records(results)
    assert (record.run.scene, record.run.method, record.oa, record.n_train) == ("own", "RF", 1.0, 10)
    assert "| own | 100.0 |" in table.read_text()


@pytest.mark.parametrize(("variant", "alone"), [("-afcm", False), ("labels alone", True)])
def test_what_a_variant_learns_from(folder: Path, variant: str, *, alone: bool) -> None:
    loaded, teacher = load(read_scene(folder)), Watched(Undecided())
    pixels = draw(loaded, "blocks", 5, 0).train
    trained = subject.train_subject(variant, loaded, pixels, 0, teacher=teacher, recipe=QUICK)
    assert trained.network.cfg.afcm == alone
    assert len(teacher.lessons) == (0 if alone else 1)
    assert trained.info.training["train_pixels"] == len(pixels) == 10
    for smooth in (False, True):
        probs = trained.predict(pixels, stride=None, smooth=smooth)
        assert probs.shape == (10, 2)
        assert np.allclose(probs.sum(axis=1), 1)


def test_who_has_no_teacher_learns_from_no_pixel_without_a_label() -> None:
    lesson = cast("Lesson", SimpleNamespace(targets=np.zeros(4), num_classes=3))
    questions = cast("Questions", SimpleNamespace(labels=np.full(7, -1)))
    examined = NoTeacher().examine(lesson)
    assert np.isnan(examined.cross_validated).all()
    answers = NoTeacher().teach(lesson, questions, examined)
    assert answers.probs.shape == (7, 3)
    assert np.isnan(answers.probs).all()
    assert not answers.nearly_right


class Counting:
    """A teacher whose answers are numbers."""

    def __init__(self) -> None:
        self.examined, self.taught = itertools.count(), itertools.count()

    def examine(self, lesson: object) -> Any:
        return next(self.examined)

    def teach(self, lesson: object, questions: object, examination: object) -> Any:
        return next(self.taught)


def test_variants_of_a_draw_have_one_teacher(folder: Path) -> None:
    given: list[tuple[int, int]] = []

    def trained(*_: object, teacher: Any) -> Any:
        # twice, as where labels are held out
        given.extend((teacher.examine(None), teacher.teach(None, None, None)) for _ in range(2))
        return SimpleNamespace(class_ids=None, predict=lambda pixels: None)

    loaded, subjects = load(read_scene(folder)), subject.Subjects(trained, cast("Any", Counting()))
    for seed, method in ((0, ""), (0, " -scan"), (0, " one image"), (1, " one image"), (1, "")):
        subjects.fit(Run("own", "blocks", 5, seed, f"s2fin{method}"), loaded, loaded.labels)
    assert given == [(number, number) for number in (0, 1, 0, 1, 2, 3, 4, 5, 6, 7)]


def test_bands_without_data_are_left_out(folder: Path) -> None:
    with rasterio.open(folder / "image.tif", "r+") as dst:
        dst.write(np.full((SIDE, SIDE), np.nan, np.float32), 2)
    loaded = load(read_scene(folder))
    assert loaded.image.shape == (1, SIDE, SIDE)
    assert len(loaded.labels) == SIDE**2


def test_an_own_scene_and_a_known_one(folder: Path) -> None:
    chosen = accuracy.parse_arguments(["--scenes", f"gulfport_crop,{folder}"]).scenes
    assert [scene.name for scene in chosen] == ["gulfport_crop", "own"]
    assert len(load(chosen[1]).labels) == SIDE**2
    assert accuracy.parse_arguments([]).scenes == list(SCENES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DESCRIPTION + 'colour = "red"\n', "unknown keys: colour; known are bands, images, label_field, labels"),
        ('labels = "labels.tif"\n', "lacks images"),
        ("labels = labels.tif\n", "Invalid value"),
        ('labels = "labels.tif"\nimages = "image.tif"\n', "images is no table"),
    ],
)
def test_a_wrong_description_is_reported(folder: Path, text: str, message: str) -> None:
    (folder / "scene.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_scene(folder)


def test_a_quick_run_is_of_one_draw_by_default() -> None:
    args = accuracy.parse_arguments(["--quick"])
    assert (args.scenes, args.protocols, args.counts, args.seeds) == (list(SCENES), ["blocks"], [20], [0])
    assert args.methods == ["s2fin", *PEERS]
    args = accuracy.parse_arguments(["--counts", "5", "--quick", "--methods", "RF"])
    assert (args.protocols, args.counts, args.methods) == (["blocks"], [5], ["RF"])


def test_a_name_that_is_no_scene(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        accuracy.parse_arguments(["--scenes", "atlantis"])
    assert "atlantis is no scene (amazon_s2_dem, " in capsys.readouterr().err


def test_no_two_scenes_of_one_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = folder.rename(folder.with_name("gulfport_crop"))
    other = folder.parent / "more" / "gulfport_crop"
    shutil.copytree(known, other)
    for text in (str(known), f"gulfport_crop, {known}", f"{known},{other}"):
        with pytest.raises(SystemExit, match="2"):
            accuracy.parse_arguments(["--scenes", text])
        assert "gulfport_crop is the name of another scene; rename " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "bands", "classes", "labels"),
    [
        ("zion_landsat_dem", (4, 1), 12, 420_000),
        ("wetland_bc_s2_dem", (1, 1), 6, 500),
        ("lattes_ortho_lidar", (4, 1), 4, 38_330),  # the band that is declared alpha among them
        ("charente_s2_s1", (6, 2), 2, 395_264),
    ],
)
def test_scenes_with_an_informative_second_image(
    real_scenes: Path, name: str, bands: tuple[int, int], classes: int, labels: int
) -> None:
    (scene,) = (scene for scene in SCENES if scene.name == name)
    loaded = load(scene)
    assert (loaded.image_bands, len(loaded.image)) == (bands[0], sum(bands))
    assert len(loaded.labels) == labels
    assert len(np.unique(loaded.labels.class_ids)) == classes
    assert (loaded.image.std(axis=(1, 2)) > 0).all()
