"""The JSON records of a folder of results as one CSV table: `python3 summary.py RESULTS > summary.csv`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

COLUMNS = ("scan", "outcome", "checks", "warnings", "device", "precision", "seconds", "model", "weights_sha256")


def rows(folder: Path) -> Iterator[dict[str, object]]:
    """One row a record, by name."""
    for path in sorted(folder.rglob("*_SYNTHETIC_*.json")):
        record = json.loads(path.read_text("utf-8"))
        scan = path.relative_to(folder).as_posix().rpartition("_SYNTHETIC_")[0]
        if "refused" in record:
            yield {"scan": scan, "outcome": f"refused: {record['refused']['message']}"}
            continue
        made = record["provenance"]
        doubts = [check["message"] for check in record["checks"] if check["level"] != "green"]
        yield {
            "scan": scan,
            "outcome": "translated",
            "checks": " ".join(doubts),
            "warnings": " ".join(record["warnings"]),
            **{key: made[key] for key in ("device", "precision", "seconds", "model", "weights_sha256")},
        }


def main() -> None:
    """Write the table to stdout."""
    table = csv.DictWriter(sys.stdout, COLUMNS)
    table.writeheader()
    table.writerows(rows(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
