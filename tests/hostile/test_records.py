"""Records in maps and findings in models that somebody made up: a report shows them, does without them, or refuses."""

from __future__ import annotations

import json
import shutil
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import rasterio

from s2fin_cli.core.errors import S2finError
from s2fin_cli.raster.class_names import RUN_TAG
from s2fin_cli.reporting.page import MOST_BYTES
from s2fin_cli.workflows.options.report import ReportOptions
from s2fin_cli.workflows.report import run as run_report
from tests.hostile.spoil import spoil_values
from tests.hostile.test_models import forged
from tests.maps import run_classify
from tests.reporting.pages import Page

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenes import Scene


@pytest.fixture(scope="module")
def map_path(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_classify(scene, model, tmp_path_factory.mktemp("sound") / "map.tif", vector=False).outputs.map


def check_report(options: ReportOptions) -> bool:
    """Whether there is a report; it is then a page of a bounded size."""
    try:
        run_report(options)
    except S2finError:
        return False
    with open(options.output, encoding="utf-8") as file:
        text = file.read()
    assert len(text) < MOST_BYTES
    return bool(Page.of(text).all("main"))


@pytest.mark.slow
def test_spoilt_records_are_shown_or_done_without(map_path: Path, tmp_path: Path) -> None:
    with rasterio.open(map_path) as src:
        record = json.loads(src.tags()[RUN_TAG])
    for seed in range(40):
        path = tmp_path / f"{seed}.tif"
        shutil.copy(map_path, path)
        with rasterio.open(path, "r+") as dst:
            dst.update_tags(**{RUN_TAG: json.dumps(spoil_values(Random(seed), record))})  # noqa: S311
        assert check_report(ReportOptions(map=path, output=tmp_path / f"{seed}.html")), seed


@pytest.mark.slow
def test_spoilt_findings_are_shown_or_refused(map_path: Path, model: Path, tmp_path: Path) -> None:
    shown = 0
    for seed in range(60):

        def spoil(values: dict[str, Any], rng: Random = Random(seed)) -> None:  # noqa: S311, B008
            values["findings"] = spoil_values(rng, values["findings"])

        try:
            path = forged(model, tmp_path / f"{seed}.s2fin", spoil)
        except ValueError:  # NaN, which no checksum holds
            continue
        shown += check_report(ReportOptions(map=map_path, model=path, output=tmp_path / f"{seed}.html"))
    assert 0 < shown < 60
