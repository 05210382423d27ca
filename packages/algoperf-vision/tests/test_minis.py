"""The mini workloads: their facts, their generated data, and their code by the conformance checks."""

from dataclasses import replace
from importlib.metadata import entry_points

import numpy as np
import pytest

from algoperf_scoring import load_benchmark
from algoperf_vision import fastmri, imagenet
from algoperf_vision.fastmri_mini import FASTMRI_MINI, phantom_dataset
from algoperf_vision.glyphs import CHARACTERS, make_glyphs
from algoperf_vision.image_sampling import SplitSizes
from algoperf_vision.imagenet_mini import RESNET_MINI, VIT_MINI, generated_dataset
from algoperf_vision.phantoms import PhantomStyle
from algoperf_vision.photo_patches import PHOTOGRAPHS, make_photo_patches
from algoperf_workloads.testing import CHECKS, Subject

MINI = load_benchmark("algoperf-mini")
WORKLOADS = {definition.name: definition for definition in (RESNET_MINI, VIT_MINI, FASTMRI_MINI)}
FULL_SIZE = {
    "imagenet_resnet_mini": imagenet.RESNET,
    "imagenet_vit_mini": imagenet.VIT,
    "fastmri_mini": fastmri.FASTMRI,
}
FEW = SplitSizes(train=48, validation=11, test=7)


def with_few_examples(definition):
    if definition is FASTMRI_MINI:
        return replace(definition, dataset=phantom_dataset(FEW), eval_batch_size=4)
    make = make_glyphs if definition is RESNET_MINI else make_photo_patches
    dataset = generated_dataset("few", make, sizes=FEW, content_hash=None, source="", licence="")
    return replace(definition, dataset=dataset, eval_batch_size=4)


@pytest.mark.parametrize("name", WORKLOADS)
def test_workload_is_found_by_its_name(name):
    (point,) = entry_points(group="algoperf.workloads", name=name)
    assert point.load() is WORKLOADS[name]


@pytest.mark.parametrize("name", WORKLOADS)
def test_it_is_its_full_size_workload_with_other_data_and_options(name):
    mini, full = WORKLOADS[name], FULL_SIZE[name]
    assert mini.model.classes == full.model.classes
    assert set(mini.model.options) == set(full.model.options)
    assert (mini.loss, mini.loss_type, mini.metrics) == (full.loss, full.loss_type, full.metrics)


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_benchmark_asks_for_a_metric_that_there_is(name):
    goal = MINI.workload(name)
    assert goal.metric == WORKLOADS[name].metrics.names[0]
    assert goal.eval_period_s <= goal.budget_s / 20


def test_every_class_has_an_output():
    assert RESNET_MINI.model.options["num_classes"] == len(CHARACTERS) == 36
    assert VIT_MINI.model.options["num_classes"] == len(PHOTOGRAPHS) == 18


@pytest.mark.parametrize("name", ["imagenet_resnet_mini", "imagenet_vit_mini"])
def test_images_are_those_that_the_targets_were_set_on(name, tmp_path):
    dataset = WORKLOADS[name].dataset
    assert dataset.content_hash is not None
    # Refuses what has another hash.
    stored = dataset.open(tmp_path)
    assert len(stored.splits["train"]["labels"]) == 40_000


def test_phantoms_are_made_when_they_are_needed(tmp_path):
    dataset = phantom_dataset(FEW, PhantomStyle(size=32))
    splits = dataset.open(tmp_path).splits
    assert splits["train"]["inputs"].shape == (48, 32, 32)
    assert splits["validation"]["targets"].shape == (11, 32, 32)


def test_inputs_have_about_unit_size(tmp_path):
    for definition in map(with_few_examples, (RESNET_MINI, VIT_MINI)):
        dataset = definition.dataset
        splits = dataset.prepare(tmp_path / definition.name).splits
        batch = dataset.preprocess(
            {name: np.asarray(column) for name, column in splits["train"].items()}
        )
        assert batch["inputs"].dtype == np.float32
        assert abs(batch["inputs"].mean()) < 0.5
        assert 0.5 < batch["inputs"].std() < 1.5


@pytest.fixture(scope="module", params=WORKLOADS)
def subject(request, tmp_path_factory):
    """A mini workload on few examples."""
    folder = tmp_path_factory.mktemp(request.param)
    definition = with_few_examples(WORKLOADS[request.param])
    definition.dataset.prepare(folder)
    return Subject(definition, MINI.workload(definition.name), str(folder), batch_size=8, rtol=2e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_workload_conforms(check, subject):
    check(subject)
