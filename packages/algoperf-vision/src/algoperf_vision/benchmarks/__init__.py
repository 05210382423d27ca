"""Benchmark definitions, one TOML file each, found through the group `algoperf.benchmarks`."""
