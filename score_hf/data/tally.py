"""What was kept and what was left out, of a shard and of a split."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .records import Dropped, ImageRecord

_EXAMPLES = 5


@dataclass
class Tally:
    """Counts of images, objects and reasons; adding two gives that of both.

    Args:
        images: Images kept.
        images_without_objects: Of these, how many have no object (or no labelled pixel).
        objects: Objects kept.
        crowds: Of these, how many are groups that were not taken apart.
        objects_of_class: Objects (of a semantic set: images) by class name.
        dropped_images: Images left out, by reason.
        dropped_objects: Objects left out, by reason.
        altered: Images and objects that were changed, by what was done.
        examples: Names of some images, by reason.
    """

    images: int = 0
    images_without_objects: int = 0
    objects: int = 0
    crowds: int = 0
    objects_of_class: Counter[str] = field(default_factory=Counter)
    dropped_images: Counter[str] = field(default_factory=Counter)
    dropped_objects: Counter[str] = field(default_factory=Counter)
    altered: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add_image(self, record: ImageRecord, class_names: list[str]) -> None:
        """Counts an image that is kept.

        Args:
            record: The image as it is kept.
            class_names: The class of each object, or each class that occurs in the label image.
        """
        self.images += 1
        self.images_without_objects += not class_names
        self.objects += len(record.objects)
        self.crowds += sum(one.iscrowd for one in record.objects)
        self.objects_of_class.update(class_names)
        self.dropped_objects.update(record.dropped)
        self.altered.update(record.altered)
        for reason in {*record.dropped, *record.altered}:
            self._add_example(reason, record.file_name)

    def add_dropped(self, dropped: Dropped) -> None:
        """Counts an image that is left out.

        Args:
            dropped: The image.
        """
        self.dropped_images[dropped.reason] += 1
        self._add_example(dropped.reason, dropped.file_name)

    def add(self, other: "Tally") -> None:
        """Adds what another part of the split holds.

        Args:
            other: Its counts.
        """
        self.images += other.images
        self.images_without_objects += other.images_without_objects
        self.objects += other.objects
        self.crowds += other.crowds
        self.objects_of_class.update(other.objects_of_class)
        self.dropped_images.update(other.dropped_images)
        self.dropped_objects.update(other.dropped_objects)
        self.altered.update(other.altered)
        for reason, names in other.examples.items():
            for name in names:
                self._add_example(reason, name)

    def _add_example(self, reason: str, file_name: str) -> None:
        names = self.examples.setdefault(reason, [])
        if len(names) < _EXAMPLES:
            names.append(file_name)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Tally":
        """Reads the fields back from a JSON file.

        Args:
            fields: The fields by name.
        """
        counters = ("objects_of_class", "dropped_images", "dropped_objects", "altered")
        counted: dict[str, Any] = {name: Counter(fields[name]) for name in counters}
        return cls(**{**fields, **counted})
