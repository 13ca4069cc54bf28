"""Commands on files that were spoilt by chance: a right answer, or one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.cases import KINDS
from tests.hostile.mutations import THOUSAND, run_mutations

if TYPE_CHECKING:
    from tests.hostile.server import Server
    from tests.hostile.world import World


@pytest.mark.parametrize("kind", KINDS)
def test_some_spoilt_files(kind: str, world: World, server: Server) -> None:
    counts = run_mutations(kind, range(2), world=world, server=server)
    assert counts.wrong == {}
    assert counts.answers + counts.sentences == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_tenth_of_a_thousand_spoilt_files(kind: str, world: World, server: Server) -> None:
    seeds = range(2, 2 + THOUSAND[kind] // 10)
    counts = run_mutations(kind, seeds, world=world, server=server)
    assert counts.wrong == {}
    assert counts.answers > 0, "nothing but refusals: the sound files may be refused too"
    assert counts.sentences > 0


#: Cases that went wrong once, by kind.
FOUND = {
    "raster": (1, 27, 35, 38, 52, 114, 115, 117),
    "vector": (2, 42, 86, 87, 136, 154, 167),
    "model": (18,),
    "project": (97,),
    "work": (22, 30),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FOUND)
def test_what_went_wrong_once(kind: str, world: World, server: Server) -> None:
    assert run_mutations(kind, FOUND[kind], world=world, server=server).wrong == {}
