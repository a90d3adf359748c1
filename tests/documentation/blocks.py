"""Finds code blocks and commands in the Markdown files of the repository."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# Texts for which others care: attributions and the fixtures' own notes have no commands.
FILES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "demo/*.md", "score_hf/models/*/README.md")
    for path in REPOSITORY.glob(pattern)
)
_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: the page, the language after the fence, and its text without indentation."""

    page: str
    language: str
    text: str


def blocks_of(path: Path) -> Iterator[Block]:
    page = path.relative_to(REPOSITORY).as_posix()
    for indentation, language, text in _FENCE.findall(path.read_text(encoding="utf-8")):
        lines = [line.removeprefix(indentation) for line in text.splitlines()]
        yield Block(page, language.strip(), "\n".join(lines) + "\n")


def commands_of(block: Block) -> Iterator[str]:
    """Gives the commands of a shell block one by one, without comments and assignments."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while command and re.fullmatch(r"[A-Z_]+=\S*", command[0]):
                command = command[1:]
            if command:
                command[0] = re.sub(r"^\.venv(-dev)?/bin/", "", command[0])
                yield shlex.join(command)


def inline_commands_of(path: Path) -> set[str]:
    """Gives the commands of ours that stand in a sentence or a table."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8")).replace("\\|", "|")
    return {
        re.sub(r"\s+", " ", command) for command in re.findall(r"`(score-hf [a-z][^`]*)`", text)
    }
