"""Mask AP of the model that comes with the package on real aerial pictures, class by class.

python -m benchmarks.real_imagery --test "iSAID tiles=isaid" --test "NWPU=nwpu_prepared" \\
    --test "NWPU, vehicle by trained names=nwpu_prepared,nwpu_names.txt" \\
    --output docs/results/score-small-aerial.json

Sets are folders that `score-hf prepare` wrote, with a split val; docs/small_aerial.md tells how. A
file after the folder has the names to ask for, one line a class. A test is stored once it is
finished, and is not made again for the same weights; one that was stopped goes on. In the end the
tables are printed, and written beside the json.
"""

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from score_hf.bundled import DEFAULT_MODEL
from score_hf.extras import missing_packages

# Told before the imports below would end in a traceback.
if __name__ == "__main__" and (missing := missing_packages("evaluation needs", "datasets")):
    raise SystemExit(f"real_imagery: {missing}")

from score_hf.data.loading import load_split
from score_hf.evaluation.evaluator import evaluate_model, fingerprint
from score_hf.evaluation.vocabulary import read_names
from score_hf.loading import load_model

from .grid import commit, now, write_results

SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR", "seen", "unseen")
KEPT = (*SUMMARY, "num_images", "objects", "per_class", "per_class_AP50")


def measure(model: str, tests: dict[str, tuple[str, Path | None]], output: Path) -> dict[str, Any]:
    """Makes all tests that are not there, stores each, and returns what is there then.

    Args:
        model: Folder or bundled model.
        tests: Folder, and file of the names to ask for, by the name of the test.
        output: File of the results.
    """
    loaded, processor = load_model(model, device="cpu")
    weights = fingerprint(loaded)
    results: dict[str, Any] = {"model": Path(model).name, "weights": weights, "tests": {}}
    if output.is_file():
        stored = json.loads(output.read_text(encoding="utf-8"))
        if stored["weights"] == weights:
            results = stored
    for name, (folder, names) in tests.items():
        if name in results["tests"]:
            continue
        start = time.perf_counter()
        rows = load_split(folder, "val")
        prompts = None if names is None else read_names(names, "--test")
        kept = output.with_name(f".{output.stem}-{len(results['tests'])}")
        figures = evaluate_model(
            loaded, processor, rows, prompts=prompts, folder=kept, settings={"test": name}
        )
        took = {
            "finished": now(),
            "seconds": round(time.perf_counter() - start),
            "commit": commit(),
        }
        asked = dict(
            zip(figures["settings"]["classes"], figures["settings"]["prompts"], strict=True)
        )
        results["tests"][name] = {**{key: figures[key] for key in KEPT}, "asked": asked, **took}
        write_results(output, results)
        shutil.rmtree(kept)
    return results


def write_tables(results: dict[str, Any]) -> str:
    """Writes the figures of all tests, then those of each class.

    Args:
        results: As they are stored.
    """
    heads = [head.replace("seen", "AP seen").replace("unAP seen", "AP unseen") for head in SUMMARY]
    lines = [
        f"| mask AP in percent | images | {' | '.join(heads)} |",
        "|---|" + "---:|" * (1 + len(heads)),
    ]
    for name, test in results["tests"].items():
        figures = " | ".join(_percent(test[key]) for key in SUMMARY)
        lines.append(f"| {name} | {test['num_images']} | {figures} |")
    for name, test in results["tests"].items():
        lines += ["", f"| {name} | asked for | objects | AP | AP50 |", "|---|---|---:|---:|---:|"]
        for label, objects in test["objects"].items():
            asked = test["asked"][label].replace("|", "or")
            figures = (
                f"{_percent(test['per_class'][label])} | {_percent(test['per_class_AP50'][label])}"
            )
            lines.append(f"| {label.replace('_', ' ').lower()} | {asked} | {objects} | {figures} |")
    return "\n".join(lines) + "\n"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def read_tests(entries: list[str]) -> dict[str, tuple[str, Path | None]]:
    """Reads the option `--test`.

    Raises:
        ValueError: If one is not NAME=DIR or NAME=DIR,FILE, or two share a name.
    """
    tests: dict[str, tuple[str, Path | None]] = {}
    for entry in entries:
        name, equals, places = entry.partition("=")
        folder, comma, names = places.partition(",")
        if not (name and equals and folder) or name in tests or bool(comma) != bool(names):
            raise ValueError(
                "`--test` must be NAME=DIR or NAME=DIR,FILE with a name of its own, such as "
                f"nwpu=sets/nwpu, but got {entry!r}."
            )
        tests[name] = (folder, Path(names) if names else None)
    return tests


def main() -> None:
    """Runs the command; what is wrong with its options is told in one sentence."""
    parser = argparse.ArgumentParser(
        prog="real_imagery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="folder or bundled model")
    parser.add_argument("--test", action="append", required=True, metavar="NAME=DIR[,FILE]")
    parser.add_argument("--output", type=Path, required=True, help="json file of the results")
    options = parser.parse_args()
    try:
        results = measure(options.model, read_tests(options.test), options.output)
    except ValueError as error:
        raise SystemExit(f"real_imagery: {' '.join(str(error).split())}") from None
    tables = write_tables(results)
    print(tables)
    options.output.with_suffix(".md").write_text(tables, encoding="utf-8")


if __name__ == "__main__":
    main()
