"""The folder of a prepared set: where its files are, its summaries and its README."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from .categories import plain_name
from .records import Kind

DATA = "data"
_SPLIT_NAME = re.compile(r"\w+(\.\w+)*")
_TABLE = re.compile(r"<!-- splits -->.*<!-- /splits -->", re.DOTALL)


def check_split_name(split: str) -> None:
    """Refuses a name that `datasets` would refuse later; "all" means the union of splits there.

    Args:
        split: Name of a split.

    Raises:
        ValueError: If it has other characters than letters, digits, `_` and single dots, or is
            "all".
    """
    if not _SPLIT_NAME.fullmatch(split) or split.lower() == "all":
        raise ValueError(
            "`split` must be of letters, digits and `_`, such as train or val, and not 'all', but "
            f"is {split!r}."
        )


def shard_path(folder: Path, split: str, shard: int, shards: int) -> Path:
    """Returns where a finished shard lies.

    Args:
        folder: The prepared set.
        split: Name of the split.
        shard: Number of the shard, from 0.
        shards: Number of shards.
    """
    return folder / DATA / f"{split}-{shard:05d}-of-{shards:05d}.parquet"


def work_folder(folder: Path, split: str) -> Path:
    """Returns where the shards of an unfinished split lie: hidden, so that no one loads them.

    Args:
        folder: The prepared set.
        split: Name of the split.
    """
    return folder / f".preparing-{split}"


def summary_path(folder: Path, split: str) -> Path:
    """Returns where the summary of a finished split lies.

    Args:
        folder: The prepared set.
        split: Name of the split.
    """
    return folder / f"summary-{split}.json"


def write_json(path: Path, contents: Any) -> None:
    """Writes a JSON file that is whole or not there, even if the process is killed.

    Args:
        path: The file.
        contents: What it should hold.
    """
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(contents, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def read_summaries(folder: Path) -> dict[str, dict[str, Any]]:
    """Reads the summaries of all finished splits.

    Args:
        folder: The prepared set.

    Returns:
        The summary of each split, by name.
    """
    paths = sorted(folder.glob("summary-*.json"))
    summaries = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    return {summary["split"]: summary for summary in summaries}


def agree_on_classes(
    folder: Path, split: str, kind: Kind, class_names: Sequence[str]
) -> tuple[str, ...]:
    """Takes over the classes of the splits that the folder has: numbers must mean the same in all.

    Args:
        folder: The prepared set; may not exist yet.
        split: The split to be written; an older one of that name does not count.
        kind: Its kind.
        class_names: Its classes.

    Returns:
        The classes that the split must be written with: its own, if it is the first.

    Raises:
        ValueError: If the other splits are of another kind or lack a class.
    """
    for other, summary in read_summaries(folder).items():
        if other == split:
            continue
        if summary["kind"] != kind:
            raise ValueError(
                f"`--output` {str(folder)!r} holds the {summary['kind']} split {other!r} and can "
                f"take no {kind} split {split!r}; choose another folder."
            )
        missing = [name for name in class_names if name not in summary["class_names"]]
        if missing:
            similar = {plain_name(name) for name in summary["class_names"]}
            hint = (
                "spell them alike"
                if all(plain_name(name) in similar for name in missing)
                else "prepare the split with most classes first, or choose another folder"
            )
            raise ValueError(
                f"`--output` {str(folder)!r} holds the split {other!r} without the "
                f"classes {', '.join(missing)} of {split!r}; {hint}."
            )
        return tuple(summary["class_names"])
    return tuple(class_names)


def write_readme(folder: Path) -> None:
    """Writes README.md so that `datasets` and the Hub find the splits, and people what they are.

    What a user added to an older README is kept: only the list of the data files and the table of
    splits are renewed.

    Args:
        folder: The prepared set.
    """
    path = folder / "README.md"
    summaries = read_summaries(folder)
    front: dict[str, Any] = {"task_categories": ["image-segmentation"], "tags": ["score-hf"]}
    names = ", ".join(dict.fromkeys(summary["name"] for summary in summaries.values()))
    body = (
        f"# {names}, prepared for score-hf\n\nWritten by `score-hf prepare`; what was left out and "
        "why is in the summary files. The pictures keep the terms under which they were "
        "published.\n\n<!-- splits --><!-- /splits -->\n"
    )
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        parts = re.match(r"---\n(.*?)\n---\n+(.*)", text, re.DOTALL)
        body = parts[2] if parts else text
        front = (yaml.safe_load(parts[1]) if parts else None) or {}
    front["configs"] = [
        {
            "config_name": "default",
            "data_files": [
                {"split": split, "path": f"{DATA}/{split}-*.parquet"} for split in summaries
            ],
        }
    ]
    table = f"<!-- splits -->\n{_split_table(summaries)}\n<!-- /splits -->"
    body = _TABLE.sub(lambda _: table, body)
    header = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    part = path.with_name("README.md.part")
    part.write_text(f"---\n{header}---\n\n{body}", encoding="utf-8")
    os.replace(part, path)


def _split_table(summaries: dict[str, dict[str, Any]]) -> str:
    lines = ["| split | images | without objects | objects | classes |", "|---|---|---|---|---|"]
    for split, summary in summaries.items():
        numbers = (summary["images"], summary["images_without_objects"], summary["objects"])
        cells = " | ".join(f"{number:,}" for number in numbers)
        lines.append(f"| {split} | {cells} | {len(summary['class_names'])} |")
    return "\n".join(lines)
