"""What is installed is what was tested: every package pinned, its files by their hashes, and no index named."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("requirements", "requirements-dev", "requirements-fuzz", "benchmarks/requirements")


def asked_for(name):
    lines = (ROOT / f"{name}.in").read_text().splitlines()
    pins = {line.partition("==")[::2] for line in lines if "==" in line}
    return {(re.sub(r"\[.*\]", "", package).lower(), version) for package, version in pins}


def pinned(name):
    """{(package, version): its hashes}"""
    text = (ROOT / f"{name}.txt").read_text()
    parts = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    return {
        re.match(r"([a-z0-9._-]+)==([^ ;]+)", part).groups(): re.findall(r"--hash=sha256:([0-9a-f]{64})\b", part)
        for part in parts
    }


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_pinned_with_the_hashes_of_its_files(name):
    assert asked_for(name) <= set(pinned(name)), "Run script/pin."
    assert [package for package, hashes in pinned(name).items() if not hashes] == []


@pytest.mark.parametrize("name", FILES)
def test_no_index_is_named(name):
    assert not re.search(r"://|--(extra-)?index|--find-links| @ ", (ROOT / f"{name}.txt").read_text())


def test_tests_run_on_what_the_platform_runs_on():
    assert pinned("requirements").items() <= pinned("requirements-dev").items()
