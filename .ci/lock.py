"""Write locked.txt: every package that `make` installs for the tests, at its version of constraints.txt, with its file's hash."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

HEADER = """\
# What `make test` installs, each file by its hash: for {system}, Python {python}, PyTorch for the CPU. `make lock` wrote it.
# pip install --require-hashes -r locked.txt && pip install --no-deps --no-build-isolation .
"""


def main() -> None:
    """Ask pip what it would install into an empty environment, and print that."""
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", "-", "-c", "constraints.txt", ".[test]"]
    done = subprocess.run([sys.executable, "-m", "pip", "install", *options], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)["install"]
    system = f"{platform.system()} {platform.machine()}"
    lines = [HEADER.format(system=system, python=".".join(platform.python_version_tuple()[:2]))]
    for package in sorted(found, key=lambda one: one["metadata"]["name"].lower()):
        about, archive = package["metadata"], package["download_info"].get("archive_info", {})
        if archive:  # not this project's own folder
            lines.append(f"{about['name']}=={about['version']} \\\n    --hash=sha256:{archive['hashes']['sha256']}\n")
    sys.stdout.writelines(lines)


if __name__ == "__main__":
    main()
