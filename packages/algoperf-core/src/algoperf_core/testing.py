"""Time, device and workload by script: everything about the clock is tested without waiting.

clock = FakeClock()
workload = ScriptedWorkload(goal, clock, evaluations=[{"validation/accuracy": 0.5}])
run = TrainingRun(plan, FakeBackend(), MemoryRecorder(clock), SilentProgress(), now=clock)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from algoperf_core import spec
from algoperf_core.backends import Key, StepKeys
from algoperf_core.numpy_keys import fold_in, key, split
from algoperf_scoring import BenchmarkWorkload


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def __call__(self) -> float:
        """Seconds since some moment."""
        return self.time_s

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self.time_s += seconds


class FakeBackend:
    """A device that computes nothing; `synchronize` takes the time that was queued on it.

    Args:
        clock: The clock to advance when queued work is waited for.
        device_count: Number of devices to pretend.
    """

    framework: spec.Framework = "jax"

    def __init__(self, clock: FakeClock | None = None, device_count: int = 1) -> None:
        self._clock = clock
        self.device_count = device_count
        self.queued_s = 0.0
        self.synchronizations = 0
        self.waited_for: list[Any] = []

    def key(self, seed: int) -> Key:
        """A NumPy key."""
        return key(seed)

    def step_keys(self, loop_key: Key, global_step: int) -> StepKeys:
        """Four NumPy keys."""
        data, update, prepare, evaluate = split(fold_in(loop_key, global_step), 4)
        return data, update, prepare, evaluate

    def fence(self, params: Any) -> Any:
        """The parameters themselves."""
        return params

    def wait(self, fence: Any) -> None:
        """Remembers what was waited for."""
        self.waited_for.append(fence)

    def synchronize(self) -> None:
        """Spends the time of all queued work."""
        self.synchronizations += 1
        if self._clock is not None:
            self._clock.advance(self.queued_s)
        self.queued_s = 0.0

    def release_memory(self) -> None:
        """Does nothing."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Errors that say so."""
        return "out of memory" in str(error)

    def hardware(self) -> dict[str, Any]:
        """No accelerator."""
        return {}


class ScriptedWorkload(spec.Workload):
    """A workload whose data, model and evaluations cost scripted time and give scripted results.

    Args:
        goal: What the benchmark asks.
        clock: The clock to advance.
        evaluations: Results of successive evaluations, or errors to raise; the last one repeats.
        batch_s: Seconds that the next batch takes.
        eval_s: Seconds that an evaluation takes.
        set_up_s: Seconds that initialising the model takes.
    """

    loss_type = spec.LossType.SOFTMAX_CROSS_ENTROPY
    num_train_examples = 1000
    num_eval_train_examples = 100
    num_validation_examples = 100
    num_test_examples = 100
    eval_batch_size = 8

    def __init__(
        self,
        goal: BenchmarkWorkload,
        clock: FakeClock,
        evaluations: Sequence[Mapping[str, float] | Exception] = ({},),
        batch_s: float = 0.0,
        eval_s: float = 0.0,
        set_up_s: float = 0.0,
    ) -> None:
        super().__init__(goal)
        self._clock = clock
        self._script = list(evaluations)
        self._batch_s = batch_s
        self._eval_s = eval_s
        self._set_up_s = set_up_s
        self.evaluated: list[tuple[int, Any]] = []

    def is_output_params(self, param_key: str) -> bool:
        """The one parameter is the output layer."""
        return param_key == "w"

    def init_model_fn(self, rng: Any) -> spec.ModelInitState:
        """Parameters `{"w": 0}`, no model state."""
        self._clock.advance(self._set_up_s)
        self._param_shapes = {"w": spec.ShapeTuple(())}
        self._param_types = {"w": spec.ParameterType.WEIGHT}
        return {"w": 0}, None

    def model_fn(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """There is no model."""
        raise NotImplementedError("a scripted workload has no model")

    def loss_fn(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """There is no loss."""
        raise NotImplementedError("a scripted workload has no loss")

    def _build_input_queue(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        number = 0
        while True:
            self._clock.advance(self._batch_s)
            yield {"inputs": number}
            number += 1

    def _eval_model_on_split(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        raise NotImplementedError("a scripted workload evaluates all splits at once")

    def eval_model(
        self,
        global_batch_size: int,
        params: Any,
        model_state: Any,
        rng: Any,
        data_dir: str,
        imagenet_v2_data_dir: str | None = None,
        global_step: int = 0,
    ) -> dict[str, float]:
        """The next scripted result."""
        self._clock.advance(self._eval_s)
        self.evaluated.append((global_step, params))
        result = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(result, Exception):
            raise result
        return dict(result)


class MemoryRecorder:
    """Keeps what a trial measures.

    Args:
        clock: The clock to advance.
        logging_s: Seconds that recording an evaluation takes.
    """

    def __init__(self, clock: FakeClock, logging_s: float = 0.0) -> None:
        self._clock = clock
        self._logging_s = logging_s
        self.scalars: list[tuple[int, dict[str, Any]]] = []
        self.evaluations: list[dict[str, float]] = []

    def append_scalar_metrics(self, metrics: Mapping[str, Any], global_step: int) -> None:
        """Keeps scalars of a step."""
        self.scalars.append((global_step, dict(metrics)))

    def append_evaluation(self, metrics: Mapping[str, float], global_step: int) -> None:
        """Keeps an evaluation."""
        self._clock.advance(self._logging_s)
        self.evaluations.append(dict(metrics))


class SilentProgress:
    """Watches nothing."""

    def after_step(self, global_step: int, submission_s: float) -> None:
        """Does nothing."""

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Does nothing."""
