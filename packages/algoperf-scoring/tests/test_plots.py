import builtins
import warnings

import pytest

from algoperf_scoring import AlgoperfError, OutputError, score_logs


@pytest.fixture
def leaderboard(tree, benchmark_small):
    for number in range(9):
        seconds = 10.0 + 3 * number
        tree.trial(f"sub_{number}/study_0/digits_jax/trial_1", [(seconds, 0.95)])
    return score_logs(tree.root, benchmark_small)


@pytest.fixture
def plot():
    with warnings.catch_warnings():
        # matplotlib's own dependencies may warn while they are imported.
        warnings.simplefilter("ignore")
        from algoperf_scoring.plots import plot_performance_profiles

        pytest.importorskip("matplotlib.figure")
    return plot_performance_profiles


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_profiles_are_drawn_in_the_format_of_the_ending(leaderboard, plot, tmp_path, ending, start):
    path = tmp_path / f"profiles.{ending}"
    plot(leaderboard, path)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.glob("profiles*")) == [path]


def test_the_legend_gives_scores_in_order(leaderboard, plot, tmp_path):
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):
        plot(leaderboard, tmp_path / "profiles.svg")
    text = (tmp_path / "profiles.svg").read_text()
    places = [text.index(name) for name in leaderboard.submissions]
    assert places == sorted(places)
    assert f"{leaderboard.scores[0]:.4f}" in text


def test_an_unknown_format_is_refused_with_the_known_ones(leaderboard, plot, tmp_path):
    with pytest.raises(AlgoperfError, match=r"cannot draw a 'xyz' file; .*\.pdf, .*\.png"):
        plot(leaderboard, tmp_path / "profiles.xyz")


def test_a_missing_folder_is_named(leaderboard, plot, tmp_path):
    with pytest.raises(OutputError, match="no: No such file"):
        plot(leaderboard, tmp_path / "no" / "profiles.png")


def test_without_matplotlib_the_extra_is_named(leaderboard, plot, tmp_path, monkeypatch):
    original = builtins.__import__

    def without_matplotlib(name, *rest):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(AlgoperfError, match=r'pip install "algoperf-scoring\[plot\]"'):
        plot(leaderboard, tmp_path / "profiles.png")
