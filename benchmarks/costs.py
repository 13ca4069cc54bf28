"""Hours, machines and storage of maps from a region to the land surface, and where more workers stop to help.

python benchmarks/costs.py [--results benchmarks/results/shards.json] [--docs] [--disk 1000] [--losses 0]
    [--core-hour PRICE --gpu-hour PRICE]

From the times that `shards.py` measured, by the simulation in `cluster.py`. `--docs` writes the tables into the
documentation; a price adds what the computing costs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cost_model import CORE, GPU, Costs
from cost_tables import blocks_of
from shard_rates import Rates

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "shards.json"
#: Documents with markers for the tables.
DOCUMENTS = ("docs/how-to/scale.md", "docs/benchmarks.md")
END = "<!-- end -->"


def fill_in(text: str, blocks: Mapping[str, str]) -> str:
    """A document with the text between its markers replaced, those of all given blocks that it has markers for."""
    for name, block in blocks.items():
        before, begin, rest = text.partition(f"<!-- costs: {name} -->\n")
        if begin:
            text = f"{before}{begin}\n{block}\n{END}{rest.partition(END)[2]}"
    return text


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="what shards.py wrote")
    parser.add_argument("--disk", type=float, default=Costs.disk_mb_s, help="MB/s of the disk that workers share")
    parser.add_argument("--losses", type=float, default=Costs.losses_per_hour, help="losses of a worker per hour")
    parser.add_argument("--core-hour", type=float, help="price of an hour of a CPU core")
    parser.add_argument("--gpu-hour", type=float, help="price of an hour of an H200")
    parser.add_argument("--docs", action="store_true", help="write the tables into the documentation")
    args = parser.parse_args()
    results = json.loads(args.results.read_text(encoding="utf-8"))
    given = {CORE: args.core_hour, GPU: args.gpu_hour}
    prices = {kind: price for kind, price in given.items() if price is not None}
    blocks = blocks_of(results, Costs(Rates(**results["rates"]), args.disk, args.losses, prices))
    for name, block in blocks.items():
        print(f"{name}\n\n{block}")
    for document in DOCUMENTS if args.docs else ():
        path = ROOT / document
        path.write_text(fill_in(path.read_text(encoding="utf-8"), blocks), encoding="utf-8")


if __name__ == "__main__":
    main()
