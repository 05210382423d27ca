"""`python -m algoperf_core` is the command `algoperf`."""

from algoperf_core.cli import main

raise SystemExit(main())
