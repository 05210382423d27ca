"""The published vision workloads: their facts, and their code on miniatures in the official layouts."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import entry_points

import pytest
from raw_trees import write_cifar, write_fastmri, write_imagenet, write_mnist

from algoperf_core.cli import main
from algoperf_core.spec import LossType
from algoperf_scoring import load_benchmark
from algoperf_vision import cifar, fastmri, imagenet, mnist, resnet, unet, vit
from algoperf_vision.fastmri_data import fastmri_dataset
from algoperf_vision.fastmri_raw import FastmriSizes
from algoperf_vision.image_sampling import SplitSizes
from algoperf_vision.imagenet_data import MIXUP_ALPHA, imagenet_dataset
from algoperf_vision.imagenet_preprocess import ImagenetPreprocessing
from algoperf_vision.imagenet_raw import ImagenetSizes
from algoperf_vision.labelled_images import LabelledSizes
from algoperf_vision.phantoms import PhantomStyle, make_phantoms
from algoperf_vision.randaugment import RandAugment
from algoperf_workloads.dataset import DatasetNotPreparedError
from algoperf_workloads.testing import CHECKS, Subject

V05 = load_benchmark("algoperf-v0.5")
DEVELOPMENT = load_benchmark("algoperf-development")
WORKLOADS = {
    definition.name: definition
    for definition in (
        *(imagenet.RESNET, imagenet.RESNET_SILU, imagenet.RESNET_GELU),
        *(imagenet.RESNET_LARGE_BN_INIT, imagenet.VIT, imagenet.VIT_GLU),
        *(imagenet.VIT_POST_LN, imagenet.VIT_MAP, fastmri.FASTMRI, fastmri.FASTMRI_MODEL_SIZE),
        *(fastmri.FASTMRI_TANH, fastmri.FASTMRI_LAYERNORM, mnist.WORKLOAD, cifar.WORKLOAD),
    )
}
# Train, eval_train, validation, test, evaluation batch, metric.
FACTS = {
    "imagenet_resnet": (1_281_167, 50_176, 50_000, 10_000, 1024, "accuracy"),
    "imagenet_vit": (1_281_167, 51_200, 50_000, 10_000, 2048, "accuracy"),
    "fastmri": (34_742, 3_584, 3_554, 3_581, 256, "ssim"),
    "mnist": (50_000, 10_000, 10_000, 10_000, 10_000, "accuracy"),
    "cifar": (45_000, 5_120, 5_000, 10_000, 1024, "accuracy"),
}
SMALL_RESNET = resnet.resnet(stage_sizes=(1, 1), num_classes=3, num_filters=8, bottleneck=False)
SMALL_VIT = vit.vit(
    width=16, depth=2, mlp_dim=32, num_heads=2, num_classes=3, patch_size=8, use_map=True
)


def base_of(name):
    return next(base for base in FACTS if name.startswith(base))


@pytest.mark.parametrize("name", WORKLOADS)
def test_workload_is_found_by_its_name(name):
    (point,) = entry_points(group="algoperf.workloads", name=name)
    assert point.load() is WORKLOADS[name]


@pytest.mark.parametrize("name", WORKLOADS)
def test_sizes_are_the_published_ones(name):
    definition = WORKLOADS[name]
    sizes = definition.dataset.sizes()
    found = (*sizes.values(), definition.eval_batch_size, definition.metrics.names[0])
    assert found == FACTS[base_of(name)]
    loss = "MEAN_ABSOLUTE_ERROR" if name.startswith("fastmri") else "SOFTMAX_CROSS_ENTROPY"
    assert definition.loss_type is LossType[loss]


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_benchmark_sets_the_goal(name):
    benchmark = DEVELOPMENT if name in DEVELOPMENT.workloads else V05
    goal = benchmark.workload(name)
    assert goal.metric == WORKLOADS[name].metrics.names[0]
    assert goal.variant_of == (base_of(name) if base_of(name) != name else None)


def test_variants_share_the_data_of_their_base_and_differ_in_the_model():
    for name, definition in WORKLOADS.items():
        base = WORKLOADS[base_of(name)]
        assert definition.dataset is base.dataset
        assert (definition.model is base.model) == (name == base.name)
    resnet_data, vit_data = imagenet.RESNET.dataset, imagenet.VIT.dataset
    assert resnet_data.name == vit_data.name == "imagenet"
    assert vit_data.arrays["targets"].shape == (1000,)
    assert resnet_data.arrays["targets"].shape == ()


def test_importing_the_definitions_imports_no_framework():
    code = """
import sys
import algoperf_vision.imagenet, algoperf_vision.fastmri, algoperf_vision.cifar, algoperf_vision.mnist
heavy = {"jax", "flax", "torch", "grain", "datasets", "PIL", "h5py", "scipy", "sklearn", "simplejpeg"}
print(sorted(heavy & set(sys.modules)))
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


def small_imagenet(folder, **preprocessing):
    per_class = {"train": 16, "validation": 5, "test": 4}
    write_imagenet(folder, per_class)
    sizes = ImagenetSizes(3, *(3 * count for count in per_class.values()))
    chosen = ImagenetPreprocessing(image_size=32, resize_size=36, num_classes=3, **preprocessing)
    return imagenet_dataset(
        chosen, num_eval_train_examples=20, sizes=sizes, name="small", workers=0
    )


def make_resnet(folder):
    dataset = small_imagenet(folder)
    return replace(imagenet.RESNET, dataset=dataset, model=SMALL_RESNET, eval_batch_size=8)


def make_vit(folder):
    dataset = small_imagenet(folder, randaugment=RandAugment(), mixup_alpha=MIXUP_ALPHA)
    return replace(imagenet.VIT, dataset=dataset, model=SMALL_VIT, eval_batch_size=8)


def make_fastmri(folder):
    slices = make_phantoms(SplitSizes(train=20, validation=7, test=6), PhantomStyle(size=32))
    write_fastmri(folder, slices)
    dataset = fastmri_dataset(
        num_eval_train_examples=8,
        sizes=FastmriSizes(1, 1, 1, num_train=20, num_validation=7, num_test=6),
        image_size=32,
    )
    model = unet.unet(num_channels=4, num_pool_layers=2)
    return replace(fastmri.FASTMRI, dataset=dataset, model=model, eval_batch_size=4)


def make_cifar(folder):
    write_cifar(folder, per_file=8, num_test=10)
    sizes = LabelledSizes(num_train=32, num_validation=8, num_test=10)
    model = resnet.resnet(
        stage_sizes=(1, 1), num_classes=10, num_filters=8, bottleneck=False, small_images=True
    )
    dataset = cifar.cifar_dataset(num_eval_train_examples=16, sizes=sizes)
    return replace(cifar.WORKLOAD, dataset=dataset, model=model, eval_batch_size=8)


def make_mnist(folder):
    write_mnist(folder, num_train=40, num_test=10)
    sizes = LabelledSizes(num_train=32, num_validation=8, num_test=10)
    dataset = mnist.mnist_dataset(num_eval_train_examples=16, sizes=sizes)
    return replace(mnist.WORKLOAD, dataset=dataset, eval_batch_size=8)


MAKERS = {
    maker.__name__.removeprefix("make_"): maker
    for maker in (make_resnet, make_vit, make_fastmri, make_cifar, make_mnist)
}


@pytest.fixture(scope="module", params=MAKERS)
def subject(request, tmp_path_factory):
    """A workload whose data were read from originals in the official layout."""
    folder = tmp_path_factory.mktemp(request.param)
    definition = MAKERS[request.param](folder)
    definition.dataset.prepare(folder / "prepared", folder)
    name = definition.name
    benchmark = DEVELOPMENT if name in DEVELOPMENT.workloads else V05
    return Subject(
        definition,
        replace(benchmark.workload(name), name=name),
        str(folder / "prepared"),
        batch_size=8,
        # A mean over few pixels in a net that divides by deviations of few.
        rtol=2e-4,
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_workload_conforms(check, subject):
    check(subject)


def test_data_that_take_long_are_not_made_by_a_trial(tmp_path):
    with pytest.raises(DatasetNotPreparedError, match="algoperf data prepare imagenet"):
        imagenet.RESNET.dataset.open(tmp_path)


def test_missing_originals_are_named_with_where_to_get_them(tmp_path, capsys):
    command = ["data", "prepare", "fastmri", "--data-dir", str(tmp_path / "prepared")]
    assert main([*command, "--raw-dir", str(tmp_path)]) != 0
    assert "https://fastmri.med.nyu.edu" in capsys.readouterr().err
    assert not (tmp_path / "prepared" / "fastmri").exists()


def test_list_says_what_there_is_to_prepare(tmp_path, capsys):
    assert main(["data", "list", "--data-dir", str(tmp_path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    text = json.dumps(listed)
    assert "ILSVRC2012_img_train.tar" in text
    assert "fastMRI dataset sharing agreement" in text
