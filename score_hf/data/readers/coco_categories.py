"""Classes of the annotations of a COCO file, by name: numbers mean something else in every file."""

from collections.abc import Sequence
from typing import Any

from ...processing.prompts import check_class_names
from ..categories import match_names
from .coco_index import CocoIndex

NO_CATEGORY = "category number that the file does not list"
BACKGROUND = "background is no object"
OTHER_CATEGORY = "class that is not of this data set"
NAME_OVER_NUMBER = "class taken from `category_name`, which its number contradicts"


class CocoCategories:
    """Finds the class of an annotation.

    Attributes:
        class_names: Classes in the order of their numbers in the prepared set.
        notes: Sentences about what is odd in the file.

    Args:
        index: The file.
        table: Classes that the set is known to have, whose spelling and order are taken; names in
            the file may differ in case, blanks, `-` and `_`. None: those of the file, in the order
            of its numbers, but for a "background" with number 0.

    Raises:
        ValueError: If the file has no class of the table.
    """

    def __init__(self, index: CocoIndex, table: Sequence[str] | None) -> None:
        self._listed = index.categories
        self.notes: list[str] = []
        found = [name for number, name in self._listed.items() if not _is_background(number, name)]
        if table is None:
            self.class_names = tuple(dict.fromkeys(found))
            self._name_of = {name: name for name in found}
            if len(self.class_names) < len(found):
                self.notes.append("categories of the same name were made one class")
            try:
                check_class_names(self.class_names, "class_names")
            except ValueError as error:
                self.notes.append(
                    f"as they are, the names cannot be asked for: {error} Rename them, in the file "
                    "or by `data.class_names` of the recipe"
                )
            return
        self.class_names = tuple(table)
        # Some official files list fewer categories than their annotations name.
        self._name_of = {name: name for name in table} | dict(match_names(found, table))
        matched = [self._name_of[name] for name in found if name in self._name_of]
        if not matched:
            raise ValueError(
                f"`annotations`: '{index.path}' has the classes {', '.join(found)}, none of which "
                f"is one of {', '.join(table)}; it is of another data set."
            )
        foreign = [name for name in found if name not in self._name_of]
        if foreign:
            self.notes.append(f"classes that are not of this data set: {', '.join(foreign)}")
        missing = [name for name in table if name not in matched]
        if missing:
            self.notes.append(f"classes that the file does not list: {', '.join(missing)}")
        if any(
            name in self._name_of and self.class_names.index(self._name_of[name]) + 1 != number
            for number, name in self._listed.items()
        ):
            self.notes.append("the file numbers its classes in another way: they went by name")

    def category_of(self, annotation: dict[str, Any]) -> tuple[str | None, str | None]:
        """Returns the class of an annotation.

        Args:
            annotation: The entry of the file.

        Returns:
            Its class, and what was changed, if anything; or None and why it has none.
        """
        number = annotation.get("category_id")
        name = self._listed.get(number) if isinstance(number, int) else None
        written, changed = annotation.get("category_name"), None
        if isinstance(written, str) and written in self._name_of and written != name:
            name, changed = written, NAME_OVER_NUMBER
        if name is None:
            return None, NO_CATEGORY
        if name not in self._name_of:
            return None, BACKGROUND if _is_background(number, name) else OTHER_CATEGORY
        return self._name_of[name], changed


def _is_background(number: Any, name: str) -> bool:
    return number == 0 and name.strip().lower() == "background"
