"""Makes links of the names that docstrings put into brackets, as in [`ScoreProcessor`]."""

import re
from typing import Any

import griffe


class DocstringLinks(griffe.Extension):
    """Turns [`ScoreProcessor`] into a link to its entry, and names without one into plain code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrites a docstring, where there is one.

        Args:
            obj: What was read.
            **kwargs: Of no interest.
        """
        if obj.docstring is None:
            return
        public = {str(name) for name in obj.package.exports or ()}

        def link(found: re.Match[str]) -> str:
            name = found[1]
            known = name.split(".")[0] in public
            return f"[`{name}`][{obj.package.name}.{name}]" if known else f"`{name}`"

        obj.docstring.value = re.sub(r"\[`([\w.]+)`\]", link, obj.docstring.value)
