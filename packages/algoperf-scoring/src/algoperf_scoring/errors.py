"""Errors meant for the user: the message alone says what is wrong and what to do."""


class AlgoperfError(ValueError):
    """Base of every error whose message is complete without a traceback.

    Command lines print the message to standard error and exit with status 2.
    """


class DefinitionError(AlgoperfError):
    """A benchmark definition that cannot be used; names the file and the field."""


class LogError(AlgoperfError):
    """A log tree or measurement file that cannot be read; names the file."""


class OutputError(AlgoperfError):
    """A result that cannot be written; names the folder."""
