"""Maps in an object store: made on this machine as any map is, and then uploaded."""

from __future__ import annotations

import contextlib
import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import unquote

from s2fin_cli.core.map_options import FileOptions, OutputOptions
from s2fin_cli.core.uploads import Uploads, uploads_of
from s2fin_cli.inference.uncertainty import BANDS as UNCERTAINTY
from s2fin_cli.model.stac import write_item_file
from s2fin_cli.workflows.classify_outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s2fin_cli.workflows.classify_job import ClassifyJob

O = TypeVar("O", bound=OutputOptions)  # noqa: E741

#: Bytes of a pixel's class, and of a probability.
CLASS_BYTES, FLOAT_BYTES = 2, 4


@contextlib.contextmanager
def redirected(options: O) -> Iterator[tuple[O, Uploads | None]]:
    """Options of a map with outputs on this machine, and how these are uploaded; None where they need not be.

    Raises:
        S2finError: the object store cannot be used, or an output is there already.
    """
    with uploads_of({field.name: getattr(options, field.name) for field in fields(FileOptions)}) as uploads:
        if uploads is None:
            yield options, None
            return
        local = replace(options, **cast("dict[str, Any]", uploads.paths))
        uploads.check(Outputs.of(local).wanted, overwrite=options.overwrite)
        yield local, uploads


def check_space(job: ClassifyJob, uploads: Uploads | None) -> None:
    """Warn if the outputs of a job, which are uploaded later, may not fit on the disk meanwhile."""
    if uploads is not None:
        outputs, extent = job.outputs, job.stack.extent
        floats = (outputs.confidence or outputs.polygons or outputs.report) is not None
        bands = floats + len(job.class_ids) * (outputs.probabilities is not None)
        bands += len(UNCERTAINTY) * (outputs.uncertainty is not None)
        uploads.check_space(extent.height * extent.width * (CLASS_BYTES + FLOAT_BYTES * bands))


def upload_map(outputs: Outputs, uploads: Uploads | None) -> dict[str, str]:
    """Upload the files of a map, the map itself last.

    Returns:
        their URLs by the names of outputs; none where there is nothing to upload.

    Raises:
        OutputError: uploading failed; nothing is left in the store, and the files are kept on this machine.
    """
    if uploads is None:
        return {}
    if outputs.stac is not None:
        _refer_to_this_machine(outputs.stac, uploads.folder)
    uploads.upload(outputs.wanted)
    return {name: uploads.url(path) for name, path in vars(outputs).items() if path is not None}


def _refer_to_this_machine(item_path: Path, folder: Path) -> None:
    """Make references of a STAC item absolute where they lead out of the folder that is uploaded."""
    item = json.loads(item_path.read_text(encoding="utf-8"))
    for reference in (*item["links"], *item["assets"].values()):
        if reference["href"].startswith("../"):
            place = (item_path.parent / unquote(reference["href"])).resolve()
            if not place.is_relative_to(folder.resolve()):
                reference["href"] = place.as_uri()
    write_item_file(item_path, item)
