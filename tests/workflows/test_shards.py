"""Maps that are made in shards are those of one run, to the last bit; runs that ended early are continued."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely

import s2fin_cli
from s2fin_cli.core.errors import InputError, OutputError, S2finError, UsageError
from s2fin_cli.core.progress import Stop, Stopped
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.receipt import read_receipt
from s2fin_cli.workflows.classify import ClassifyResult, carry_out_in_shards
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.options.classify import ClassifyOptions
from tests.files import write_raster
from tests.predictors import WatchedPredictor
from tests.scenes import Scene, make_image
from tests.workflows.sharding import check_same_map, finished, names, options_of
from tests.workflows.test_area_of_interest import SHAPES, write_area

if TYPE_CHECKING:
    from tests.scenes import Run

BOUNDS = (500_105, 4_999_611, 500_507, 4_999_893)
#: Options by name; a path stands for a file in the folder of the outputs.
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smooth": {"smooth": True, "confidence": Path("c.tif"), "mmu": 4, "simplify": 20.0, "stac": True},
    "probabilities": {"probabilities": Path("p.tif"), "prior": ("water=5",)},
    "scaled": {"probabilities": Path("p.tif"), "confidence": Path("c.tif"), "scaled": True, "vector": False},
    "COG": {"format": "COG", "co": ("COMPRESS=DEFLATE",), "confidence": Path("c.tif"), "stac": True},
    "bounds": {"bounds": BOUNDS, "smooth": True, "confidence": Path("c.tif"), "stride": 3},
    "aoi": {"aoi": SHAPES, "confidence": Path("c.tif"), "smooth": True, "stride": 3},
    "stride 1": {"aoi": SHAPES, "probabilities": Path("p.tif"), "smooth": True, "stride": 1},
    "tiles": {"tile_size": 16, "confidence": Path("c.tif")},
}


def options_in(folder: Path, name: str) -> dict[str, Any]:
    """Options with paths in a folder, and with a file for the area of interest."""
    folder.mkdir()
    given = {key: folder / value if isinstance(value, Path) else value for key, value in OPTIONS[name].items()}
    return given | ({"aoi": write_area(folder / "aoi.gpkg", *SHAPES)} if "aoi" in given else {})


def with_gaps(scene: Scene, folder: Path) -> dict[str, Any]:
    """The scene's image without data here and there, in whole batches of windows too."""
    image = make_image(scene.truth)
    image[:, 5:40, 30:50] = image[2, 50:, :20] = 65535
    return {"hsi": write_raster(folder / "gaps.tif", image, nodata=65535)}


#: Those that the quick tests try; together they reach each kind of output.
QUICK = ("smooth", "probabilities", "COG", "bounds")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in OPTIONS]
)
def test_the_map_is_that_of_one_run(scene: Scene, wide_model: Path, tmp_path: Path, name: str) -> None:
    options = options_in(tmp_path / "whole", name)
    given = options_of(scene, wide_model, tmp_path / "whole" / "map.tif", **options, **with_gaps(scene, tmp_path))
    expected = s2fin_cli.classify(**given)
    for number, size in enumerate((16, 48)):
        moved = {
            key: tmp_path / f"{number}{value.name}"
            for key, value in given.items()
            if key in ("confidence", "probabilities")
        }
        given |= {**moved, "output": tmp_path / f"map{number}.tif"}
        found = s2fin_cli.classify(**given, work=tmp_path / f"run{number}", shard_size=size)
        check_same_map(found, expected)
    assert len(finished(tmp_path / "run0")) >= len(finished(tmp_path / "run1")) > 0


@pytest.fixture(scope="module")
def plain(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassifyResult:
    """The map of one run."""
    folder = tmp_path_factory.mktemp("plain")
    result: ClassifyResult = s2fin_cli.classify(
        **options_of(scene, model, folder / "map.tif", confidence=folder / "c.tif")
    )
    return result


def given(scene: Scene, model: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """Keywords of a map in shards of 48 pixels, of which there are four."""
    how = {"confidence": folder / "c.tif", "work": folder / "run", "shard_size": 48, **changes}
    return options_of(scene, model, folder / "map.tif", **how)


@pytest.mark.parametrize(
    "order",
    [
        ("3/3", "1/3", "2/3"),
        *(
            pytest.param(order, marks=pytest.mark.slow)
            for order in (("1/1",), ("2/4", "4/4", "1/4", "3/4", "3/4"), ("7/7", "1/1"))
        ),
    ],
)
def test_parts_in_any_order_are_assembled(
    scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult, order: tuple[str, ...]
) -> None:
    keywords = given(scene, model, tmp_path)
    made: set[int] = set()
    for part in order:
        result = s2fin_cli.classify(**keywords, shard=part)
        made.update(result.shards or ())
        assert result.to_dict()["map"] is None
        assert names(tmp_path) == {"run"}
        keywords.pop("shard_size", None)  # the folder knows it
    assert made == {1, 2, 3, 4}
    found = s2fin_cli.assemble(work=tmp_path / "run", output=tmp_path / "map.tif", confidence=tmp_path / "c.tif")
    check_same_map(found, plain)
    assert names(tmp_path) == {"run", "map.tif", "map.tif.aux.xml", "map.qml", "map.gpkg", "c.tif"}


@pytest.mark.slow
def test_the_same_map_of_shards_in_random_order(
    scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult
) -> None:
    parts = [f"{number}/30" for number in range(1, 31)]
    np.random.default_rng(3).shuffle(parts)
    keywords = given(scene, model, tmp_path, shard_size=16, stride=1)
    for part in parts[:5]:
        assert len(s2fin_cli.classify(**keywords, shard=part).shards or ()) <= 1
    found = s2fin_cli.classify(**keywords)
    check_same_map(found, s2fin_cli.classify(**options_of(
        scene, model, tmp_path / "b.tif", confidence=tmp_path / "bc.tif", stride=1
    )))  # fmt: skip


def test_other_outputs_of_the_same_shards(scene: Scene, model: Path, tmp_path: Path) -> None:
    keywords = given(scene, model, tmp_path, probabilities=tmp_path / "p.tif")
    s2fin_cli.classify(**keywords)
    before = finished(tmp_path / "run")
    outputs: dict[str, Any] = {
        "output": tmp_path / "b.tif", "probabilities": tmp_path / "bp.tif", "scaled": True, "format": "COG", "mmu": 9,
    }  # fmt: skip
    found = s2fin_cli.assemble(work=tmp_path / "run", **outputs)
    outputs |= {"output": tmp_path / "d.tif", "probabilities": tmp_path / "dp.tif"}
    check_same_map(found, s2fin_cli.classify(**options_of(scene, model, **outputs)))
    assert finished(tmp_path / "run") == before


def test_probabilities_that_the_shards_lack_are_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    s2fin_cli.classify(**given(scene, model, tmp_path))
    with pytest.raises(InputError, match="hold no probabilities"):
        s2fin_cli.assemble(work=tmp_path / "run", output=tmp_path / "b.tif", probabilities=tmp_path / "p.tif")
    assert not list(tmp_path.glob("b*"))


def test_missing_shards_are_named_and_nothing_is_written(scene: Scene, model: Path, tmp_path: Path) -> None:
    s2fin_cli.classify(**given(scene, model, tmp_path), shard="2/4")
    with pytest.raises(InputError, match=r"3 of 4 shards are missing or damaged in .*run: 1, 3, 4; make them"):
        s2fin_cli.assemble(work=tmp_path / "run", output=tmp_path / "map.tif")
    assert names(tmp_path) == {"run"}
    with pytest.raises(InputError, match="holds no plan of a map"):
        s2fin_cli.assemble(work=tmp_path / "none", output=tmp_path / "map.tif")


@pytest.mark.parametrize(
    "spoil",
    [
        "truncated",
        "flipped",
        *(pytest.param(spoil, marks=pytest.mark.slow) for spoil in ("removed", "no receipt", "of another shard")),
    ],
)
def test_a_spoilt_shard_is_made_again_and_the_others_are_not(
    scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    keywords = given(scene, model, tmp_path)
    s2fin_cli.classify(**keywords)
    folder = WorkFolder(tmp_path / "run")
    path, before = folder.shard_path(3), finished(folder.path)
    content = bytearray(path.read_bytes())
    if spoil == "truncated":
        path.write_bytes(content[:-100])
    elif spoil == "flipped":
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    elif spoil == "removed":
        path.unlink()
    elif spoil == "no receipt":
        folder.receipt_path(3).unlink()
    else:
        path.write_bytes(folder.shard_path(2).read_bytes())
    with pytest.raises(InputError, match=r"1 of 4 shards are missing or damaged .*: 3"):
        s2fin_cli.assemble(work=folder.path, output=tmp_path / "b.tif")
    check_same_map(s2fin_cli.classify(**keywords, overwrite=True), plain)
    after = finished(folder.path)
    assert {name for name in after if after[name] != before[name]} == {"00003.json"}
    assert ("shard 3 in" in caplog.text) == (spoil != "no receipt")


def test_a_change_of_model_options_or_inputs_is_refused_and_named(
    scene: Scene, model: Path, wide_model: Path, tmp_path: Path
) -> None:
    hsi = tmp_path / "hsi.tif"
    hsi.write_bytes(scene.hsi.read_bytes())
    keywords = given(scene, model, tmp_path, hsi=hsi)
    s2fin_cli.classify(**keywords, shard="1/4")
    before = finished(tmp_path / "run")
    area = write_area(tmp_path / "aoi.gpkg", *SHAPES)
    for changes, message in (
        ({"model": wide_model}, "the checksum of the model was"),
        ({"stride": 1}, "`stride` was 3 and is 1 now"),
        ({"smooth": True}, "`smooth` was False and is True now"),
        ({"prior": ("water=3",)}, r"`prior` was \[\] and is \['water=3'\] now"),
        ({"bounds": BOUNDS}, r"`bounds` was nothing and is \["),
        ({"aoi": area}, "`aoi` was nothing and is aoi.gpkg now"),
        ({"shard_size": 96}, "`shard_size` was 48 and is 96 now"),
        ({"lidar": scene.folder / "hsi.tif"}, "."),
    ):
        with pytest.raises(S2finError, match=message):
            s2fin_cli.classify(**{**keywords, **changes})
    content = bytearray(scene.hsi.read_bytes())
    content[-1] ^= 1
    hsi.write_bytes(content)
    for command in (lambda: s2fin_cli.classify(**keywords), lambda: assemble_run(tmp_path)):
        with pytest.raises(InputError, match=r"the checksum of `hsi` hsi.tif was \w{16} and is \w{16} now; restore it"):
            command()
    assert finished(tmp_path / "run") == before
    assert not list(tmp_path.glob("map*"))


def assemble_run(folder: Path) -> None:
    s2fin_cli.assemble(work=folder / "run", output=folder / "map.tif")


def test_shards_of_another_machine_are_refused_or_allowed(
    scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult
) -> None:
    keywords = given(scene, model, tmp_path)
    s2fin_cli.classify(**keywords, shard="1/2")
    path = WorkFolder(tmp_path / "run").receipt_path(1)
    receipt = read_receipt(path)
    assert receipt is not None
    path.write_text(replace(receipt, maker=replace(receipt.maker, processor="aarch64 with SVE")).to_json())
    message = r"the processor is aarch64 with SVE for shard 1 \(.*\) and .* "
    with pytest.raises(InputError, match=f"{message}here, so the last bits"):
        s2fin_cli.classify(**keywords)
    check_same_map(s2fin_cli.classify(**keywords, mixed=True), plain)
    with pytest.raises(InputError, match=f"{message}for shard 2"):
        s2fin_cli.assemble(work=tmp_path / "run", output=tmp_path / "b.tif")
    s2fin_cli.assemble(work=tmp_path / "run", output=tmp_path / "b.tif", mixed=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("defect"), MemoryError()])
def test_an_error_midway_keeps_finished_shards_and_nothing_else(
    scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult, error: BaseException
) -> None:
    keywords = given(scene, model, tmp_path)

    def fault(number: int) -> None:
        if number == 2:
            raise error

    job = prepare(ClassifyOptions.from_kwargs(keywords))
    with pytest.raises(type(error)):
        carry_out_in_shards(replace(job, predictor=WatchedPredictor(job.predictor, fault)))
    assert names(tmp_path) == {"run"}
    before = finished(tmp_path / "run")
    assert names(tmp_path / "run") == {"plan.json", "maker.json", "00001.json", "00001.tif", "00002.json", "00002.tif"}
    check_same_map(s2fin_cli.classify(**keywords), plain)
    assert before.items() <= finished(tmp_path / "run").items()


def test_a_run_that_is_asked_to_end_is_continued(
    scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult
) -> None:
    keywords, stop = given(scene, model, tmp_path), Stop()
    reports: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        reports.append((stage, done, total))
        if (stage, done) == ("shards", 3):
            stop.set()

    with pytest.raises(Stopped):
        s2fin_cli.classify(**keywords, progress=progress, stop=stop)
    assert len(finished(tmp_path / "run")) == 3
    assert names(tmp_path) == {"run"}
    check_same_map(s2fin_cli.classify(**keywords, progress=progress), plain)
    assert [report for report in reports if report[0] != "shards"][-1] == ("polygons", 60, 60)
    assert ("assembling", 4, 4) in reports


def test_a_shard_that_is_replaced_during_assembly_is_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    keywords = given(scene, model, tmp_path)
    s2fin_cli.classify(**keywords, shard="1/1")
    path = WorkFolder(tmp_path / "run").shard_path(1)

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if (stage, done) == ("assembling", 2):
            path.write_bytes(path.with_name("00002.tif").read_bytes())

    with pytest.raises(InputError, match="changed by another program while the map was assembled: 1;"):
        s2fin_cli.classify(**keywords, progress=progress)
    assert names(tmp_path) == {"run"}


def test_an_area_without_data_is_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    image = make_image(scene.truth)
    image[:, :20] = 0
    hsi = write_raster(tmp_path / "hsi.tif", image, nodata=0)
    bounds = (500_000, 4_999_900, 500_700, 5_000_000)
    with pytest.raises(S2finError, match="no pixel has data in all images inside the area of interest"):
        s2fin_cli.classify(**given(scene, model, tmp_path, hsi=hsi, bounds=bounds))
    assert names(tmp_path) == {"hsi.tif", "run"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard": "0/3", "work": "run"}, "`shard` is '0/3'; it must be I/N"),
        ({"shard": "4/3", "work": "run"}, "it must be I/N"),
        ({"shard": "1", "work": "run"}, "it must be I/N"),
        ({"shard": "1/3"}, "`work` keeps; give it a folder"),
        ({"workers": 0}, "`workers` is 0"),
        ({"work": "run", "shard_size": 3}, "`shard_size` is 3"),
        ({"shard_size": 300}, "apply to maps that are made with `work` or `workers`"),
        ({"mixed": True}, "apply to maps that are made with `work` or `workers`"),
    ],
)
def test_options_that_make_no_sense(scene: Scene, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        s2fin_cli.classify(**scene.images, output=tmp_path / "map.tif", **changes)


def test_outputs_are_checked_before_any_work(scene: Scene, model: Path, tmp_path: Path) -> None:
    keywords = given(scene, model, tmp_path)
    (tmp_path / "map.tif").write_bytes(b"old")
    with pytest.raises(OutputError, match="already exists"):
        s2fin_cli.classify(**keywords)
    assert not (tmp_path / "run").exists()
    s2fin_cli.classify(**keywords, shard="1/4")  # which writes no map
    assert (tmp_path / "map.tif").read_bytes() == b"old"


def test_the_command_line(run: Run, scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult) -> None:
    common = [*scene.arguments, "-m", model, "--device", "cpu", "-o", "map.tif", "--work", "run"]
    result = run("classify", *common, "--shard", "1/2", "--shard-size", 48, "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["shards"], answer["map"]) == ([1, 2], None)
    assert "2 shards are finished: 1, 2" in result.stderr
    assert "when all parts are finished: s2fin assemble run -o map.tif" in result.stderr
    result = run("classify", *common, "--shard", "1/9")
    assert result.exit_code == 0, result.stderr
    assert "this part has no shards, because the map has fewer of them than there are parts" in result.stderr
    result = run("classify", *common, "--shard", "1/4")
    assert "1 shard is finished: 1" in result.stderr
    result = run("assemble", "run", "-o", "map.tif")
    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [tmp_path / "run"])
    assert "error: 2 of 4 shards are missing or damaged in run: 3, 4;" in result.stderr
    result = run("classify", *common, "--stride", "1")
    assert result.exit_code == 1
    assert "--stride was 3 and is 1 now; restore it or use another folder for --work" in result.stderr
    assert run("classify", *common, "--shard", "2/2").exit_code == 0
    result = run("assemble", "run", "-o", "map.tif", "--confidence", "c.tif", "--json")
    assert result.exit_code == 0, result.stderr
    assert {c["id"]: c["pixels"] for c in json.loads(result.stdout)["classes"]} == plain.pixels
    result = run("classify", *common, "--shard", "3/2")
    assert (result.exit_code, "--shard is '3/2'; it must be I/N" in result.stderr) == (2, True)


def test_shapes_are_really_cut(scene: Scene) -> None:
    """The areas of interest of these tests cut through batches of windows and shards."""
    left, bottom, right, top = shapely.union_all(SHAPES).bounds
    assert (right - left) / 10 > 48
    assert (top - bottom) / 10 > 16
    assert np.array(BOUNDS) % 160 @ np.ones(4) > 0
    assert scene.truth.shape == (60, 70)
