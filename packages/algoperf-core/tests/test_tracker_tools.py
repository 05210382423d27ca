"""What TensorBoard, Weights & Biases and MLflow are given."""

import importlib.util
import math
import struct
import sys
from types import ModuleType, SimpleNamespace

import pytest

from algoperf_core.trackers.mlflow import MlflowTracker
from algoperf_core.trackers.process import Trackers
from algoperf_core.trackers.tensorboard import TensorBoardTracker
from algoperf_core.trackers.wandb import WandbTracker

POINT = {"learning_rate": 0.1, "nesterov": True, "schedule": [1, 2]}
RESULT = {"outcome": "target_reached", "time_to_target_s": 4.5, "message": None}
CRASHED = {"outcome": "crashed", "time_to_target_s": None, "message": "ValueError: x"}


def feed(tracker, facts, result=RESULT):
    tracker.start(facts, POINT)
    tracker.log({"validation/loss": 0.5, "score": 1.0}, 1, 1.0)
    tracker.log({"validation/loss": math.nan, "score": 3.0}, 40, 3.0)
    tracker.finish(result)


# TensorBoard, with the real library.


@pytest.fixture
def tensorboard(monkeypatch):
    """The tracker hides PyTorch from tensorboardX in its own process; here it must not."""
    monkeypatch.setitem(sys.modules, "torch", sys.modules.get("torch"))
    pytest.importorskip("tensorboardX")
    return TensorBoardTracker


def events(folder):
    """Reads event files: little-endian length, its checksum, data, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    read = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            read.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return read


def test_event_file_has_an_event_per_row_with_all_its_numbers(tensorboard, facts, tmp_path):
    feed(tensorboard(), facts)
    rows = [event for event in events(tmp_path) if event.step]
    scalars = {
        (event.step, value.tag): value.simple_value
        for event in rows
        for value in event.summary.value
    }
    assert scalars[1, "validation/loss"] == 0.5
    assert math.isnan(scalars[40, "validation/loss"])
    assert scalars[40, "score"] == 3.0


def test_relative_axis_of_tensorboard_is_submission_time(tensorboard, facts, tmp_path):
    feed(tensorboard(), facts)
    first, *_, last = events(tmp_path)
    assert first.file_version == "brain.Event:2"
    assert last.wall_time - first.wall_time == pytest.approx(3.0, abs=1e-3)


def test_first_row_voids_what_an_earlier_attempt_wrote_from_its_step_on(
    tensorboard, facts, tmp_path
):
    from tensorboardX.proto.event_pb2 import SessionLog

    feed(tensorboard(), facts)
    restarts = [event for event in events(tmp_path) if event.HasField("session_log")]
    assert [(event.step, event.session_log.status) for event in restarts] == [(1, SessionLog.START)]


def test_tensorboard_has_the_hyperparameters(tensorboard, facts, tmp_path):
    feed(tensorboard(), facts)
    tags = [value.tag for event in events(tmp_path) for value in event.summary.value]
    assert "_hparams_/session_start_info" in tags


def test_event_file_is_complete_after_every_row(tensorboard, facts, tmp_path):
    tracker = tensorboard()
    tracker.start(facts, {})
    tracker.log({"validation/loss": 0.5}, 1, 1.0)
    assert events(tmp_path)[-1].summary.value[0].simple_value == 0.5
    tracker.finish(RESULT)


def test_package_tensorboard_does_as_well(tensorboard, facts, tmp_path, monkeypatch):
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("the package tensorboard is not installed")
    for name in ("tensorboardX", "tensorboardX.proto", "tensorboardX.summary"):
        monkeypatch.setitem(sys.modules, name, None)
    feed(tensorboard(), facts)
    monkeypatch.undo()
    assert events(tmp_path)[-1].step == 40


# Weights & Biases, with a fake of the functions that are used, and offline where it is installed.


class FakeRun:
    def __init__(self):
        self.rows, self.summary, self.exit_code = [], {}, None

    def define_metric(self, name, step_metric):
        assert (name, step_metric) == ("*", "submission_s")

    def log(self, row):
        self.rows.append(row)

    def finish(self, exit_code):
        self.exit_code = exit_code


@pytest.fixture
def fake_wandb(monkeypatch):
    module = ModuleType("wandb")
    module.run = FakeRun()
    module.Settings = SimpleNamespace

    def init(**options):
        module.options = options
        return module.run

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return module


def test_wandb_run_names_trial_and_point(fake_wandb, facts, tmp_path):
    feed(WandbTracker(), facts)
    options = fake_wandb.options
    assert options["project"] == "toy-benchmark"
    assert options["name"] == "mine / toy / study 0 / trial 2"
    assert options["dir"] == str(tmp_path)
    assert options["config"]["hyperparameters"] == POINT
    assert options["tags"] == ["toy", "jax"]
    assert options["settings"].x_disable_stats


def test_wandb_gets_rows_over_submission_time(fake_wandb, facts):
    feed(WandbTracker(), facts)
    assert fake_wandb.run.rows[0] == {
        "validation/loss": 0.5,
        "score": 1.0,
        "global_step": 1,
        "submission_s": 1.0,
    }
    assert fake_wandb.run.summary["time_to_target_s"] == 4.5
    assert fake_wandb.run.exit_code == 0


def test_wandb_run_of_a_crashed_trial_has_failed(fake_wandb, facts):
    feed(WandbTracker(), facts, CRASHED)
    assert fake_wandb.run.exit_code == 1
    assert fake_wandb.run.summary["message"] == "ValueError: x"


def test_wandb_project_of_the_user_goes_first(fake_wandb, facts, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "ours")
    feed(WandbTracker(), facts)
    assert fake_wandb.options["project"] == "ours"


def run_in_its_process(name, facts):
    with Trackers([name], facts, POINT, lambda: RESULT) as trackers:
        trackers.wait_until_started()
        for step in (1, 40):
            trackers.log([{"validation/loss": 0.5, "score": float(step), "global_step": step}])


def test_wandb_offline(facts, tmp_path, monkeypatch, caplog):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run_in_its_process("wandb", facts)
    assert not caplog.records
    (run,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert b"validation/loss" in run.read_bytes()


# MLflow, with a fake of the functions that are used, and a local store where it is installed.


class FakeClient:
    """Keeps what it is given; `race` lets another trial create the experiment first."""

    race = False

    def __init__(self):
        self.experiments, self.metrics, self.params, self.tags = {}, [], [], {}
        self.status = None
        FakeClient.last = self

    def get_experiment_by_name(self, name):
        found = self.experiments.get(name)
        return None if found is None else SimpleNamespace(experiment_id=found)

    def create_experiment(self, name):
        self.experiments[name] = "3"
        if self.race:
            raise sys.modules["mlflow.exceptions"].MlflowException(f"{name} exists")
        return "3"

    def create_run(self, experiment_id, tags, run_name):
        assert experiment_id == "3"
        self.tags |= tags | {"name": run_name}
        return SimpleNamespace(info=SimpleNamespace(run_id="run"))

    def log_batch(self, run_id, metrics=(), params=()):
        assert len(metrics) <= 1000
        self.metrics += metrics
        self.params += params

    def log_metric(self, run_id, name, value):
        self.metrics.append((name, value))

    def set_tag(self, run_id, name, value):
        self.tags[name] = value

    def set_terminated(self, run_id, status):
        self.status = status


@pytest.fixture
def fake_mlflow(monkeypatch):
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.setattr(FakeClient, "race", False)
    contents = {
        "mlflow": {},
        "mlflow.entities": {"Metric": lambda *metric: metric, "Param": lambda *param: param},
        "mlflow.tracking": {"MlflowClient": FakeClient},
        "mlflow.exceptions": {"MlflowException": type("MlflowException", (Exception,), {})},
    }
    for name, attributes in contents.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    return FakeClient


def test_mlflow_run_has_point_facts_and_rows(fake_mlflow, facts):
    feed(MlflowTracker(), facts)
    client = fake_mlflow.last
    assert client.experiments == {"toy-benchmark": "3"}
    assert client.params[:2] == [("learning_rate", "0.1"), ("nesterov", "True")]
    assert client.tags["algoperf.workload"] == "toy"
    assert [(name, value, step) for name, value, _, step in client.metrics[:2]] == [
        ("validation/loss", 0.5, 1),
        ("score", 1.0, 1),
    ]
    assert client.metrics[2][2] - client.metrics[0][2] == 2000
    assert client.metrics[-1] == ("time_to_target_s", 4.5)
    assert (client.tags["algoperf.outcome"], client.status) == ("target_reached", "FINISHED")


def test_mlflow_run_of_a_crashed_trial_has_failed(fake_mlflow, facts):
    feed(MlflowTracker(), facts, CRASHED)
    assert fake_mlflow.last.status == "FAILED"


def test_names_that_mlflow_refuses_are_changed_and_many_metrics_split(fake_mlflow, facts):
    tracker = MlflowTracker()
    tracker.start(facts, {})
    tracker.log({f"norm[{n}]": 1.0 for n in range(2500)}, 1, 1.0)
    assert len(fake_mlflow.last.metrics) == 2500
    assert fake_mlflow.last.metrics[7][0] == "norm_7_"


def test_experiment_that_another_trial_created_meanwhile_is_used(fake_mlflow, facts, monkeypatch):
    monkeypatch.setattr(FakeClient, "race", True)
    feed(MlflowTracker(), facts)
    assert fake_mlflow.last.status == "FINISHED"


def test_mlflow_in_a_local_store(facts, tmp_path, monkeypatch, caplog):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'store'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    run_in_its_process("mlflow", facts)
    assert not caplog.records
    (metric,) = tmp_path.glob("store/*/*/metrics/validation/loss")
    assert [line.split()[1:] for line in metric.read_text().splitlines()] == [
        ["0.5", "1"],
        ["0.5", "40"],
    ]
    (tag,) = tmp_path.glob("store/*/*/tags/algoperf.outcome")
    assert tag.read_text() == "target_reached"
