"""`python -m T1T2TranslationLib`: the same as `t1t2`."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
