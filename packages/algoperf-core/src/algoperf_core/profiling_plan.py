"""Which steps of a profiled trial are traced, and where the trace goes."""

PROFILE_FOLDER = "profile"
WARM_UP_STEPS = 10  # compilation, the first evaluation, and what caches need
TRACED_STEPS = 5
