"""The rules of the benchmark as code: what `algoperf check SUBMISSION` looks for.

`static` reads a submission's files and never imports them; `short_run` trains a few steps per workload in
processes of their own, under guards. Both return findings; every finding rests on one entry of `rules.RULES`.
"""
