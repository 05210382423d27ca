"""Definitions from anybody: refused by file and field, never a traceback or an endless wait."""

import os
import threading
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algoperf_scoring.benchmark import Benchmark, load_benchmark
from algoperf_scoring.definitions import MAX_BYTES
from algoperf_scoring.errors import AlgoperfError, DefinitionError

SMALL = load_benchmark("algoperf-v0.6").subset(include=["ogbg"]).to_toml()


def refusal(text: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        Benchmark.from_toml(text, source="theirs.toml")
    message = str(caught.value)
    assert message.startswith("theirs.toml: ")
    assert len(message) < 2000
    assert message.isprintable()
    return message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = " + "[" * 100_000, "nested too deeply"),
        ("x = " + "{a=" * 100_000, "nested too deeply"),
        ("a" + ".a" * 400_000 + " = 1", "line 1: a key of more than 16 parts"),
        ("[a" + ".a" * 400_000 + "]\nb.c = 1", "line 1: a key of more than 16 parts"),
        ("\"a=\" . 'b'" + ".a" * 400_000 + " = 1", "line 1: a key of more than 16 parts"),
        ("name" + ".a" * 15 + " = 1", "name: expected a non-empty string, found {'a': "),
        ("#" * (MAX_BYTES + 1), "larger than 1 MiB"),
        ("name = 'a\0b'", "not valid TOML"),
        ("\0", "not valid TOML"),
        ("name = " + "9" * 5000, "not valid TOML"),
        ("name = 0x" + "f" * 5000, "name: expected a non-empty string, found int too large"),
        ("name = 1979-05-27", "name: expected a non-empty string, found datetime.date"),
        ('"\\u001b[31m" = 1', r"\x1b[31m: unknown field"),
        ("a" * 100_000 + " = 1", "aaa...: unknown field"),
        ("name = 'x'\nworkloads = 3", "workloads: expected a table, found 3"),
        ("base = []\nname = 'x'", "base: missing"),
        ("name = 'x'\nbase = 'ogbg'", "base: expected a list of names"),
        ("name = 'a'\nextends = 2021-01-01", "extends: expected a non-empty string"),
    ],
)
def test_hostile_text_is_refused_by_file(text, problem):
    assert problem in refusal(text)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("0.28098", "1e999", "workloads.ogbg.validation_target: expected a finite number"),
        ("0.28098", "inf", "workloads.ogbg.validation_target: expected a finite number"),
        ("0.28098", "nan", "workloads.ogbg.validation_target: expected a finite number"),
        ("0.28098", "0x" + "f" * 5000, "expected a finite number, found int too large"),
        ("0.28098", "1979-05-27", "workloads.ogbg.validation_target: expected a number"),
        ("step_hint = 52000", "step_hint = 0x" + "f" * 99, "step_hint: expected at most 900719925"),
        ('summary = "', 'summary = 0 # "', "summary: expected a non-empty string, found 0"),
        ('metric = "mean_average_precision"', "metric = 07:32:00", "metric: expected a non-empty"),
        ("studies = 3", "studies = 3.0", "rulesets.external.studies: expected an integer"),
    ],
)
def test_a_hostile_value_is_refused_by_field(old, new, problem):
    assert old in SMALL
    assert problem in refusal(SMALL.replace(old, new))


def test_many_names_take_no_longer_than_they_are_long():
    names = ", ".join(f'"w{index}"' for index in range(100_000))
    assert "no workload 'w0' is defined" in refusal(f"name = 'x'\nbase = [{names}]")
    twice = ", ".join(['"w"'] * 200_000)
    assert "'w' is listed twice" in refusal(f"name = 'x'\nbase = [{twice}]")


def test_dots_are_counted_in_keys_alone(definition):
    name = "w." * 99
    summary = f'summary = "{"." * 99}" # {"." * 99}'
    start = definition.index("summary")
    text = definition[:start] + summary + definition[definition.index("\n", start) :]
    text = text.replace("[workloads.wine]", f'[workloads."{name}"]').replace('"wine"', f'"{name}"')
    assert Benchmark.from_toml(text).base == ("digits", name)


def test_long_names_are_not_compared():
    known = "".join(chr(0x4E00 + index * 7919 % 20_000) for index in range(90_000))
    text = f'name = "x"\nbase = ["{known[::-1]}"]\n[workloads."{known}"]\nmetric = "loss"\n'
    assert "is defined" in refusal(f"{text}validation_target = 1")


def test_a_byte_order_mark_is_no_part_of_the_definition(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert load_benchmark(path).base == ("ogbg",)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff\xfe", "not UTF-8 text"),
        (b"#" * (MAX_BYTES + 1), "1,048,576"),
        (b"", "name: missing"),
    ],
)
def test_a_file_that_is_no_definition_is_refused(tmp_path, data, problem):
    path = tmp_path / "theirs.toml"
    path.write_bytes(data)
    with pytest.raises(DefinitionError, match=problem):
        load_benchmark(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_read(tmp_path):
    path = tmp_path / "pipe.toml"
    os.mkfifo(path)
    outcome: list[BaseException] = []

    def read() -> None:
        try:
            load_benchmark(path)
        except DefinitionError as error:
            outcome.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(timeout=10)
    assert not reader.is_alive()
    assert "not a regular file" in str(outcome[0])


@pytest.mark.parametrize("name", ["folder.toml", "/dev/zero", "a\0b.toml", "a" * 5000 + ".toml"])
def test_what_is_no_file_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(AlgoperfError, match=r"not a regular file|cannot|unknown benchmark"):
        load_benchmark(name)
    text = Benchmark.from_toml(SMALL).to_toml().replace("name =", "#", 1)
    escaped = name.replace("\0", "\\u0000")
    with pytest.raises(AlgoperfError):
        Benchmark.from_toml(f'name = "x"\nextends = "{escaped}"\n{text}')


@pytest.mark.parametrize(
    "extends", ["/etc/passwd", "parent.toml", "../parent.toml", "deep/parent", "./algoperf-v0.5"]
)
def test_an_untrusted_definition_may_not_extend_a_file(tmp_path, definition, extends):
    (tmp_path / "parent.toml").write_text(definition)
    path = tmp_path / "benchmark.toml"
    path.write_text(f'name = "x"\nextends = "{extends}"\n')
    text = path.read_text()
    for read in (
        lambda: load_benchmark(path, trusted=False),
        lambda: Benchmark.from_toml(text, source=str(path), trusted=False),
    ):
        with pytest.raises(
            DefinitionError, match=r"extends: .* only extend an installed benchmark"
        ):
            read()


def test_an_untrusted_definition_may_extend_an_installed_one(tmp_path, monkeypatch, definition):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "algoperf-v0.5").write_text(definition)
    text = 'name = "x"\nextends = "algoperf-v0.5"\ninclude = ["ogbg"]\n'
    assert Benchmark.from_toml(text, trusted=False).base == ("ogbg",)
    with pytest.raises(AlgoperfError, match=r"did you mean 'algoperf-v0\.5'"):
        Benchmark.from_toml(text.replace("v0.5", "v05"), trusted=False)


def test_a_trusted_definition_that_extends_another_kind_of_file_names_it(tmp_path):
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0\n")
    with pytest.raises(DefinitionError, match="passwd: not valid TOML"):
        Benchmark.from_toml(f'name = "x"\nextends = "{path}"\n')


def test_a_definition_that_extends_itself_is_refused(tmp_path):
    path = tmp_path / "self.toml"
    path.write_text('name = "x"\nextends = "self.toml"\n')
    with pytest.raises(DefinitionError, match="goes round in a circle"):
        load_benchmark(path)


def test_endless_chains_of_definitions_are_refused(tmp_path):
    for number in range(200):
        text = f'name = "x"\nextends = "{number + 1}.toml"\n'
        (tmp_path / f"{number}.toml").write_text(text)
    with pytest.raises(DefinitionError, match="more than 32 definitions in a row"):
        load_benchmark(tmp_path / "0.toml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_our_errors(tmp_path, data):
    path = tmp_path / "random.toml"
    path.write_bytes(data)
    with suppress(AlgoperfError):
        load_benchmark(path, trusted=False)


pieces = st.sampled_from(
    [
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        "=",
        ".",
        ",",
        "\n",
        "-",
        "0x",
        "1e999",
        "nan",
        "\\u0000",
        "true",
        "[scoring]",
        "[[workloads]]",
        'extends = "algoperf-v0.5"\n',
        'include = ["wmt"]\n',
        '"ogbg"',
    ]
)


@given(
    cuts=st.lists(
        st.tuples(st.integers(0, len(SMALL)), st.integers(0, 40), pieces | st.text(max_size=4)),
        min_size=1,
        max_size=4,
    )
)
def test_mutated_definitions_raise_nothing_but_our_errors(cuts):
    text = SMALL
    for start, length, piece in cuts:
        text = text[:start] + piece + text[start + length :]
    try:
        benchmark = Benchmark.from_toml(text, trusted=False)
    except AlgoperfError:
        return
    assert Benchmark.from_toml(benchmark.to_toml()) == benchmark
