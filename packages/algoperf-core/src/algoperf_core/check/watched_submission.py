"""A submission between guards: the same functions, with everything around them looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from algoperf_core.check.contents import digest
from algoperf_core.check.guards import Call, Guard
from algoperf_core.check.observations import Observations
from algoperf_core.check.recording import RecordingDict, RecordingList
from algoperf_core.spec import TrainingCompleteError
from algoperf_core.submission import Submission

INIT = ("workload", "model_params", "model_state", "hyperparameters", "rng")
SELECTION = (
    *("workload", "input_queue", "optimizer_state", "model_params", "model_state"),
    *("hyperparameters", "global_step", "rng"),
)


class Returned:
    """The parameters that the submission returned last: what an evaluation must see."""

    def __init__(self) -> None:
        self.params: Any = None
        self.model_state: Any = None
        self.digest: str | None = None

    def note(self, params: Any, model_state: Any) -> None:
        """Takes note of what was returned."""
        self.params, self.model_state = params, model_state
        self.digest = digest((params, model_state))


class WatchedSubmission:
    """Wraps the functions of a submission.

    Args:
        submission: The submission.
        observations: Where changes of the harness's records are noted.
        guards: What looks before and after every call.
        advance: Called after every step; moves the clock of the check.
        guarded: Gives the queue that data selection is to see for the one that the loop has.
    """

    def __init__(
        self,
        submission: Submission,
        observations: Observations,
        guards: Sequence[Guard],
        advance: Callable[[], None],
        guarded: Callable[[Any], Any] = lambda queue: queue,
    ) -> None:
        self._inner = submission
        self._observations = observations
        self._guards = guards
        self._advance = advance
        self._guarded = guarded
        self.returned = Returned()
        self.inside = False  # whether a function of the submission runs now

    def submission(self) -> Submission:
        """The functions to hand to the training loop."""
        prepare = self._inner.prepare_for_eval
        return replace(
            self._inner,
            init_optimizer_state=self._init_optimizer_state,
            update_params=self._update_params,
            data_selection=self._data_selection,
            prepare_for_eval=None if prepare is None else self._prepare_for_eval,
        )

    @contextmanager
    def watch(
        self, name: str, function: Callable[..., Any] | None, arguments: Mapping[str, Any]
    ) -> Iterator[None]:
        """Looks before and after."""
        call = Call(name, self._observations.line_of_function(function), arguments)
        for guard in self._guards:
            guard.before(call)
        self.inside = True
        try:
            yield
        finally:
            self.inside = False
            for guard in self._guards:
                guard.after(call)

    def _init_optimizer_state(self, *args: Any) -> Any:
        arguments = dict(zip(INIT, args, strict=True))
        self.returned.note(arguments["model_params"], arguments["model_state"])
        function = self._inner.init_optimizer_state
        with self.watch("init_optimizer_state", function, arguments):
            return function(*args)

    def _data_selection(self, *args: Any) -> Any:
        workload, queue, *rest = args
        seen = (workload, self._guarded(queue), *rest)
        arguments = dict(zip(SELECTION, seen, strict=True))
        with self.watch("data_selection", self._inner.data_selection, arguments):
            return self._inner.data_selection(*seen)

    def _update_params(self, *, train_state: Any, **keywords: Any) -> Any:
        self._advance()
        keywords["eval_results"] = self._recorded(keywords["eval_results"])
        extra = {"train_state": self._told_dict(train_state, "train_state")}
        extra = extra if self._inner.wants_train_state else {}
        try:
            with self.watch("update_params", self._inner.update_params, keywords):
                result = self._inner.update_params(**keywords, **extra)
        except TrainingCompleteError:
            self.returned.note(keywords["current_param_container"], keywords["model_state"])
            raise
        self._note(result)
        return result

    def _prepare_for_eval(self, **keywords: Any) -> Any:
        keywords["eval_results"] = self._recorded(keywords["eval_results"])
        function = self._inner.prepare_for_eval
        with self.watch("prepare_for_eval", function, keywords):
            result = function(**keywords) if function is not None else None
        self._note(result)
        return result

    def _note(self, result: Any) -> None:
        # Another form is the training loop's to refuse.
        if isinstance(result, tuple) and len(result) == 3:
            self.returned.note(result[1], result[2])

    def _told_dict(self, items: Any, what: str) -> RecordingDict:
        return RecordingDict(items, lambda method: self._changed(what, method))

    def _recorded(self, results: Any) -> RecordingList:
        rows = [(step, self._told_dict(metrics, "eval_results")) for step, metrics in results]
        return RecordingList(rows, lambda method: self._changed("eval_results", method))

    def _changed(self, what: str, method: str) -> None:
        line = self._observations.current_line()
        self._observations.add("harness-state", f"changes {what} by {method}", line)
