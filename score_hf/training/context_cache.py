"""Context features of pictures that come again, computed once."""

import hashlib
from collections import OrderedDict

import torch
from torch import Tensor

from ..modeling.context_trunk import SceneContext, ScoreContextTrunk


class ContextCache:
    """Answers in place of a frozen context trunk where it has seen a picture before.

    Pictures are known by their pixels, so that no augmentation can deceive it: with a random crop
    nothing ever comes again and the cache only costs time; without augmentation everything does.

    Args:
        trunk: The trunk, whose `forward` is replaced.
        capacity: How many pictures' features are kept, on the trunk's device; the one that was
            not asked for the longest goes first. Of RemoteCLIP ViT-L/14 a picture takes 0.8 MB.
    """

    def __init__(self, trunk: ScoreContextTrunk, capacity: int) -> None:
        self.capacity = capacity
        self.hits = self.misses = 0
        self._compute = trunk.forward
        self._known: OrderedDict[tuple[str, int | None], dict[str, Tensor]] = OrderedDict()
        trunk.forward = self.extract  # type: ignore[method-assign]

    def extract(self, pixel_values: Tensor, intermediate_layer: int | None = None) -> SceneContext:
        """Extracts the context of each image; see [`ScoreContextTrunk.forward`]."""
        keys = [(_fingerprint(pixels), intermediate_layer) for pixels in pixel_values]
        # Of equal pictures in a batch one is enough.
        new = {key: place for place, key in enumerate(keys) if key not in self._known}
        self.hits += len(keys) - len(new)
        self.misses += len(new)
        found = {key: self._known[key] for key in keys if key in self._known}
        if new:
            computed = self._compute(pixel_values[list(new.values())], intermediate_layer)
            for place, key in enumerate(new):
                found[key] = {name: part[place].clone() for name, part in computed.items()}
        for key in keys:
            self._known[key] = found[key]
            self._known.move_to_end(key)
        while len(self._known) > self.capacity:
            self._known.popitem(last=False)
        names = found[keys[0]]
        return SceneContext(
            **{name: torch.stack([found[key][name] for key in keys]) for name in names}
        )


def _fingerprint(pixels: Tensor) -> str:
    content = pixels.detach().contiguous().cpu().view(torch.uint8)
    shape = repr((tuple(pixels.shape), pixels.dtype)).encode()
    return hashlib.sha1(shape + content.numpy().tobytes(), usedforsecurity=False).hexdigest()
