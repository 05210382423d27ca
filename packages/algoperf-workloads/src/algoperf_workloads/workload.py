"""What a defined workload is in either framework: its facts, its data and the evaluation of a split."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any

from algoperf_core import spec
from algoperf_scoring import BenchmarkWorkload
from algoperf_workloads.batches import Batch, named_arrays
from algoperf_workloads.columns import Array, Examples
from algoperf_workloads.definition import WorkloadDefinition
from algoperf_workloads.pipeline import (
    InputQueue,
    Part,
    TrainingBatches,
    evaluation_batches,
    seed_words,
    training_queue,
)
from algoperf_workloads.store import StoredDataset

# Evaluation batches of a split stay on the device between evaluations if they are smaller than this.
CACHED_BYTES = 2**28


class DefinedWorkload(spec.Workload):
    """A workload made from a definition; a framework adds placement, passes and sums.

    Args:
        definition: What the workload is.
        goal: What the benchmark asks of it.
    """

    framework: spec.Framework

    def __init__(self, definition: WorkloadDefinition, goal: BenchmarkWorkload) -> None:
        super().__init__(goal)
        self.definition = definition
        self._datasets: dict[str, StoredDataset] = {}
        self._cached_evaluations: dict[tuple[str, str, int], list[Any]] = {}

    @property
    def loss_type(self) -> spec.LossType:
        """Which loss the workload trains on."""
        return self.definition.loss_type

    @property
    def num_train_examples(self) -> int:
        """Number of training examples."""
        return self.definition.dataset.num_train_examples

    @property
    def num_eval_train_examples(self) -> int:
        """Number of training examples that an evaluation looks at."""
        return self.definition.dataset.num_eval_train_examples

    @property
    def num_validation_examples(self) -> int:
        """Number of validation examples."""
        return self.definition.dataset.num_validation_examples

    @property
    def num_test_examples(self) -> int | None:
        """Number of test examples; None where there is no test split."""
        return self.definition.dataset.num_test_examples

    @property
    def eval_batch_size(self) -> int:
        """Global batch size of evaluations."""
        return self.definition.eval_batch_size

    @property
    def suggested_batch_size(self) -> int | None:
        """Global batch size for submissions that know none for the workload."""
        return self.definition.suggested_batch_size

    def is_output_params(self, param_key: spec.ParameterKey) -> bool:
        """Whether a top-level key of the parameters belongs to the output layer."""
        return self.definition.model.is_output_parameter(self.framework, param_key)

    @property
    @abc.abstractmethod
    def device_count(self) -> int:
        """Number of devices that a batch is split over."""

    @property
    @abc.abstractmethod
    def part(self) -> Part:
        """Rank of this process and number of processes: which rows of a batch it prepares."""

    @abc.abstractmethod
    def _place(self, batch: Batch) -> dict[str, Any]:
        """Puts the rows of this process on its devices, as its part of a global batch."""

    @abc.abstractmethod
    def _zero_totals(self) -> Any:
        """Compensated sums of all metrics over no examples, on the devices."""

    @abc.abstractmethod
    def _add_batch(
        self, totals: Any, params: Any, model_state: Any, batch: Any, rng: Any
    ) -> tuple[Any, Mapping[str, Any]]:
        """Adds the sums of a batch to the totals, on the devices, without waiting for them.

        Returns:
            The new totals, and what the metrics collect of the batch.
        """

    @abc.abstractmethod
    def _fetch(
        self, totals: Any, collected: Sequence[Mapping[str, Any]]
    ) -> tuple[Array, list[Mapping[str, Array]]]:
        """Copies totals and what was collected to the host, all at once."""

    def eval_model(
        self,
        global_batch_size: int,
        params: spec.ParameterContainer,
        model_state: spec.ModelAuxiliaryState,
        rng: spec.RandomState,
        data_dir: str,
        imagenet_v2_data_dir: str | None = None,
        global_step: int = 0,
    ) -> dict[str, float]:
        """As the API says; the dataset holds its test split, so `imagenet_v2_data_dir` is ignored."""
        del imagenet_v2_data_dir
        return super().eval_model(
            global_batch_size, params, model_state, rng, data_dir, global_step=global_step
        )

    def _build_input_queue(
        self,
        data_rng: spec.RandomState,
        split: str,
        data_dir: str,
        global_batch_size: int,
        cache: bool | None = None,
        repeat_final_dataset: bool | None = None,
        num_batches: int | None = None,
    ) -> Iterator[spec.Batch]:
        """Batches of a split on the devices; `train` repeats for ever and has a position.

        The other splits pass once, or for ever with `repeat_final_dataset`. `cache` is ignored: the
        data are memory-mapped.
        """
        del cache
        if split == "train":
            return self._training_queue(data_rng, data_dir, global_batch_size, num_batches)
        examples = self._examples(split, data_dir)
        passes = repeat(None) if repeat_final_dataset else (None,)
        batches = chain.from_iterable(
            self._placed_evaluation_batches(examples, global_batch_size) for _ in passes
        )
        return islice(batches, num_batches)

    def _training_queue(
        self, data_rng: Any, data_dir: str, batch_size: int, num_batches: int | None
    ) -> InputQueue:
        dataset = self.definition.dataset
        source = TrainingBatches(
            dataset,
            self._examples("train", data_dir),
            batch_size=batch_size,
            seed=seed_words(data_rng),
            part=self.part,
        )
        return training_queue(source, self._place, workers=dataset.workers, num_batches=num_batches)

    def _eval_model_on_split(
        self,
        split: str,
        num_examples: int,
        global_batch_size: int,
        params: spec.ParameterContainer,
        model_state: spec.ModelAuxiliaryState,
        rng: spec.RandomState,
        data_dir: str,
        global_step: int = 0,
    ) -> dict[str, float]:
        """Metrics over one split, every example counted once, in one transfer from the device."""
        del global_step
        metrics = self.definition.metrics
        totals, collected = self._zero_totals(), []
        for batch in self._evaluation_batches(split, data_dir, global_batch_size):
            totals, outputs = self._add_batch(totals, params, model_state, batch, rng)
            if outputs:
                collected.append(outputs)
        sums, parts = self._fetch(totals, collected)
        return metrics.compute(metrics.total(sums), num_examples, parts)

    def _evaluation_batches(self, split: str, data_dir: str, batch_size: int) -> Iterable[Any]:
        key = (split, str(data_dir), batch_size)
        if key in self._cached_evaluations:
            return self._cached_evaluations[key]
        examples = self._examples(split, data_dir)
        batches = self._placed_evaluation_batches(examples, batch_size)
        if self._batch_bytes(batch_size) * -(-len(examples) // batch_size) > CACHED_BYTES:
            return batches
        return self._cached_evaluations.setdefault(key, list(batches))

    def _placed_evaluation_batches(self, examples: Examples, batch_size: int) -> Iterator[Any]:
        dataset = self.definition.dataset
        batches = evaluation_batches(
            dataset,
            examples,
            batch_size=batch_size,
            multiple_of=self.device_count,
            workers=dataset.workers,
            part=self.part,
        )
        return map(self._place, batches)

    def _batch_bytes(self, batch_size: int) -> int:
        arrays = named_arrays(self.definition.dataset.arrays).values()
        return batch_size * sum(int(array.zeros(1).nbytes) for array in arrays)

    def _examples(self, split: str, data_dir: str) -> Examples:
        if data_dir not in self._datasets:
            self._datasets[data_dir] = self.definition.dataset.open(data_dir)
        return self.definition.dataset.examples(self._datasets[data_dir].splits, split)


def require_no_update(update_batch_norm: bool) -> None:
    """Refuses an EVAL pass that shall update batch statistics.

    Raises:
        ValueError: `update_batch_norm` is set.
    """
    if update_batch_norm:
        raise ValueError(
            "update_batch_norm=True is for ForwardPassMode.TRAIN; EVAL leaves statistics alone"
        )
