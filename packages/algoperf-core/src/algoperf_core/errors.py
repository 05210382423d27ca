"""Errors that a user can mend; command lines print their message without a traceback."""

from algoperf_scoring import AlgoperfError


class SubmissionError(AlgoperfError):
    """A submission does not keep to the submission API."""


class SearchSpaceError(AlgoperfError):
    """A tuning search space is missing or malformed."""


class WorkloadError(AlgoperfError):
    """A workload cannot be built, or its data cannot be used."""


class CampaignError(AlgoperfError):
    """A campaign cannot be started or continued as asked."""


class RecordError(AlgoperfError):
    """What a trial measures cannot be written down; the trial ends as interrupted."""


class CheckpointError(AlgoperfError):
    """A checkpoint cannot be written, or the trial cannot continue from it."""
