"""A third party's package: a workload, a submission and a benchmark."""
