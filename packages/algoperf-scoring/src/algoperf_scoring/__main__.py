"""Makes ``python -m algoperf_scoring`` the command ``algoperf-score``."""

import sys

from algoperf_scoring.cli import main

if __name__ == "__main__":
    sys.exit(main())
