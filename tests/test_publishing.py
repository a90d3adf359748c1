"""Workflows, container and citation: what can be checked of them without running them."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")


def read(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps_of(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", ())]


def instructions(name: str) -> list[list[str]]:
    """The arguments of all instructions of one kind in the Dockerfile."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [
        shlex.split(line.removeprefix(name))
        for line in joined.splitlines()
        if line.startswith(f"{name} ")
    ]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib", reason="Python has it from 3.11 on")
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_only_read_and_name_versions(path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job.get("permissions", {}) == ({"id-token": "write"} if name == "publish" else {})
        assert "uses" in job or "timeout-minutes" in job, name
    for step in steps_of(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(release/)?v\d+", step["uses"])


def test_checks_are_those_of_the_one_script(project):
    workflow = read(REPOSITORY / ".github/workflows/checks.yml")
    runs = [step["run"] for step in steps_of(workflow) if "run" in step]
    assert runs == [
        ".ci/run",
        ".ci/run lowest",
        'pip install --quiet -e ".[all]" pip-audit',
        "pip-audit --skip-editable",
    ]
    pythons = workflow["jobs"]["all"]["strategy"]["matrix"]["python"]
    named = "Programming Language :: Python :: 3."
    assert pythons == [
        line.rpartition(" ")[2] for line in project["classifiers"] if line.startswith(named)
    ]
    assert project["requires-python"] == f">={pythons[0]}"
    # Oldest packages on the oldest Python.
    (setup,) = (step for step in workflow["jobs"]["lowest"]["steps"] if "with" in step)
    assert setup["with"]["python-version"] == pythons[0]


def test_only_checked_tags_are_published():
    workflow = read(REPOSITORY / ".github/workflows/release.yml")
    # YAML 1.1 takes the key `on` for true.
    assert workflow[True] == {"push": {"tags": ["v*"]}}
    jobs = workflow["jobs"]
    assert jobs["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert (jobs["build"]["needs"], jobs["publish"]["needs"]) == ("checks", "build")


def test_the_container_is_made_of_what_there_is(project):
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    for *sources, _ in instructions("COPY"):
        if not sources[0].startswith("--from="):
            for source in sources:
                assert (REPOSITORY / source).exists() and f"!{source}" in ignored, source
    arguments = dict(argument.split("=") for (argument,) in instructions("ARG"))
    assert set(arguments["EXTRAS"].split(",")) <= set(project["optional-dependencies"])
    (entry,) = re.findall(r'^ENTRYPOINT \["(.+)"\]$', DOCKERFILE, re.MULTILINE)
    assert entry in project["scripts"]
    # Whatever hatchling reads to build the package has to be copied.
    copied = {source for *sources, _ in instructions("COPY") for source in sources}
    assert {project["readme"], *project["license-files"]} <= copied


def test_the_container_runs_as_nobody_special():
    images = [image for image, *_ in instructions("FROM")]
    assert len(set(images)) == 1 and ":" in images[0] and "latest" not in images[0]
    ((user,),) = instructions("USER")
    (made,) = re.findall(r"useradd .*?(\w+) *\\?$", DOCKERFILE, re.MULTILINE)
    assert user == made
    assert DOCKERFILE.index("USER ") < DOCKERFILE.index("ENTRYPOINT")
    for line in instructions("RUN"):
        if "apt-get" in line:
            assert "--no-install-recommends" in line and "/var/lib/apt/lists/*" in line


def test_the_citation_is_the_papers(project):
    citation = read(REPOSITORY / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["license"] == project["license"]
    paper = citation["preferred-citation"]
    readme = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    assert paper["title"].removeprefix("SCORE: ") in readme
    assert f"{paper['authors'][0]['family-names']} et al., ICCV {paper['year']}" in readme
    # One home of the version.
    assert "version" not in citation and "version" in project["dynamic"]
