"""What a submission's files say by themselves: every rule that needs no run."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from algoperf_core.check.events import Assignment, Event
from algoperf_core.check.findings import Finding, in_order
from algoperf_core.check.folder_rules import folder_rules
from algoperf_core.check.harness_rules import harness_rules
from algoperf_core.check.identification import functions_of_batch_size, identification
from algoperf_core.check.interpreter import Interpreter
from algoperf_core.check.literals import literals
from algoperf_core.check.modules import SubmissionFiles
from algoperf_core.check.signatures import signatures
from algoperf_core.check.surroundings import surroundings


def read_rules(files: SubmissionFiles, workloads: Collection[str] = ()) -> list[Finding]:
    """All findings on the files of a submission, none of which is imported.

    Args:
        files: The submission.
        workloads: Names of workloads, which a search space may not be keyed by.
    """
    return in_order(_findings(files, workloads))


def _findings(files: SubmissionFiles, workloads: Collection[str]) -> Iterator[Finding]:
    yield from files.unreadable
    broken = {finding.path for finding in files.unreadable}
    for entry in files.entries:
        if entry.path not in broken:
            yield from signatures(entry)
    interpreter = Interpreter(files)
    try:
        events = interpreter.events()
    except RecursionError:
        yield Finding("opaque-code", files.entries[0].path, 0, "is nested too deeply to be read")
        return
    scopes = {event.place.scope for event in events}
    exempt = functions_of_batch_size(interpreter.callers, scopes, interpreter.batch_size_functions)
    yield from identification(events, exempt)
    yield from harness_rules(events)
    yield from surroundings(events, [module.tree for module in files.modules.values()])
    yield from _global_state(events)
    for module in files.modules.values():
        yield from literals(module)
    yield from folder_rules(files, workloads)


def _global_state(events: list[Event]) -> Iterator[Finding]:
    for event in events:
        if not isinstance(event, Assignment) or not event.outer or not event.place.function:
            continue
        foreign = any(not origin.startswith("@") for origin in event.base.origins)
        if not foreign and event.base_name is not None:
            yield event.finding("global-state", f"changes {event.base_name}, which is global")
