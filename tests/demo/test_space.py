import re
from pathlib import Path

import pytest
from huggingface_hub import RepoCard
from packaging.requirements import Requirement

from score_hf.demo.space import MODEL_VARIABLE, model_of_space, start

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "demo"


def requirements(lines: list[str]) -> dict[str, Requirement]:
    read = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {one.name.lower().replace("_", "-"): one for one in read}


@pytest.fixture(scope="module")
def pinned() -> dict[str, Requirement]:
    return requirements((DEMO / "requirements.txt").read_text().splitlines())


@pytest.fixture(scope="module")
def project() -> dict:
    tomllib = pytest.importorskip("tomllib", reason="Python has it from 3.11 on")
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_pins_cover_what_the_package_needs(pinned, project):
    needed = requirements(project["dependencies"] + project["optional-dependencies"]["demo"])
    assert set(pinned) == set(needed)
    for name, requirement in needed.items():
        exact = str(pinned[name].specifier).removeprefix("==")
        assert exact[0].isdigit(), name
        assert requirement.specifier.contains(exact), name


def test_the_front_matter_is_what_the_hub_takes(pinned):
    data = RepoCard.load(DEMO / "README.md").data.to_dict()
    assert data["sdk"] == "gradio" and (DEMO / data["app_file"]).is_file()
    assert f"=={data['sdk_version']}" == str(pinned["gradio"].specifier)
    assert data["python_version"] == "3.11" and data["license"] == "apache-2.0"
    assert len(data["short_description"]) <= 60
    colors = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {data["colorFrom"], data["colorTo"]} <= colors


def test_the_readme_states_the_limits():
    from score_hf.demo.limits import Limits

    limits, text = Limits(), re.sub(r"\s+", " ", (DEMO / "README.md").read_text())
    assert (
        f"up to {limits.file_megabytes} MB and {limits.picture_pixels // 10**6} million pixels, up "
        f"to {limits.classes} classes and {limits.names} names" in text
    )
    assert limits.kept_seconds == 3600 and "deleted after an hour" in text


@pytest.mark.parametrize(
    ("models", "variable", "expected"),
    [
        ("models:\n- me/score\n- me/other\n", None, "me/score"),
        ("models:\n- me/score\n", "you/score", "you/score"),
        ("models:\n- me/score\n", " ", "me/score"),
        ("", None, "score-tiny"),
    ],
)
def test_the_model_is_told_by_variable_or_front_matter(
    tmp_path, monkeypatch, models, variable, expected
):
    monkeypatch.delenv(MODEL_VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(MODEL_VARIABLE, variable)
    (tmp_path / "README.md").write_text(f"---\nsdk: gradio\n{models}---\n# Space\n")
    assert model_of_space(tmp_path) == expected


def test_a_space_whose_model_cannot_be_loaded_ends_with_the_reason(monkeypatch):
    monkeypatch.setenv(MODEL_VARIABLE, "no-such-model")
    with pytest.raises(ValueError, match="no 'no-such-model'"):
        start(DEMO)
