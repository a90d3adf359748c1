"""What the API reference shows differently from how the sources are written."""

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


class StrictFields(griffe.Extension):
    """Gives configurations the arguments that huggingface_hub's `strict` makes of their fields."""

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Adds a constructor with the types and defaults of the fields.

        Args:
            cls: A class.
            **kwargs: Of no interest.
        """
        if "strict" not in {str(one.value) for one in cls.decorators}:
            return
        fields = (one for one in cls.attributes.values() if one.annotation and not one.docstring)
        constructor = griffe.Function(
            "__init__",
            parameters=griffe.Parameters(
                *(
                    griffe.Parameter(
                        one.name,
                        annotation=one.annotation,
                        kind=griffe.ParameterKind.keyword_only,
                        default=one.value,
                    )
                    for one in fields
                    if "ClassVar" not in str(one.annotation)
                )
            ),
        )
        cls.set_member("__init__", constructor)
