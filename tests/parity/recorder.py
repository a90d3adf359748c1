"""Looks into the network while it runs: what passes between its parts, by the goldens' names."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from torch import Tensor, nn

from score_hf import ScoreForInstanceSegmentation
from score_hf.modeling import modeling_score, region_formation


class Recorder:
    """Collects intermediate tensors between entering and leaving it.

    Args:
        model: The network, with regions of the learned kernel.
    """

    def __init__(self, model: ScoreForInstanceSegmentation) -> None:
        self._model = model
        self._lists: dict[str, list[Any]] = defaultdict(list)
        self._stack = ExitStack()

    def __enter__(self) -> "Recorder":
        model, head, region = (
            self._model,
            self._model.class_head,
            self._model.region_integration,
        )
        self._output(model.general_trunk, "stages")
        self._output(model.context_trunk, "context")
        self._input(model.context_trunk.vision_model.embeddings, "square")
        self._output(model.pixel_decoder, "pixel")
        self._input(model.global_adaptation.projection, "gca_input")
        self._output(model.global_adaptation, "after_gca")
        self._output(model.mask_decoder.norm, "normed_query")
        self._output(model.mask_decoder.mask_mlp, "mask_embed")
        self._input(head.pool_norm, "maskpool_raw")
        self._output(head.pool_projection, "maskpool_proj")
        self._output(head.class_mlp, "class_embed")
        self._input(region.projection, "rs_pooled")
        self._input(region.layers[0], "rai_in")
        self._output(region, "rai_out")
        self._input(model.general_trunk.head, "pooled")
        self._output(model.general_trunk.head, "embed")
        # Functions, not modules: what they are given.
        self._call(modeling_score, "class_logits", lambda *given: {"rows": given[1]})
        self._call(region_formation, "dilate_to_grid", self._dilate)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def values(self) -> dict[str, Tensor]:
        """What one forward pass computed, under the goldens' names.

        Returns:
            `head.<l>.<part>` and `dec.<l>.<part>` for prediction l, and the parts before and
            after the predictions.
        """
        seen = self._lists
        values = {
            f"backbone.res{index + 2}": stage for index, stage in enumerate(seen["stages"][0])
        }
        square = seen["square"][0]
        values[f"input.rs_{square.shape[-1]}"] = square
        values["rs.clip_global"] = seen["context"][0].cls
        values["rs.clip_vis_dense"] = seen["context"][0].patches
        values["pixel.mask_features"], maps = seen["pixel"][0]
        values |= {f"pixel.ms{index}": level for index, level in enumerate(maps)}
        values["text.gca_input_visual"] = seen["gca_input"][0]
        values["text.after_gca"] = seen["after_gca"][0]
        values["text.in_vocab_with_void"] = seen["rows"][0]
        queries = self._model.config.num_queries
        # The parts of the head see all predictions side by side.
        heads = {
            part: seen[part][0].view(*seen["rai_out"][0].shape[:2], -1).split(queries, dim=1)
            for part in (
                "maskpool_raw",
                "maskpool_proj",
                "class_embed",
                "rs_pooled",
                "rai_in",
                "rai_out",
            )
        }
        predictions = len(heads["rai_out"])
        if len(seen["rows"]) > 1:
            values["text.out_vocab_with_void"] = seen["rows"][-1]
            values["outvocab.pooled"] = seen["pooled"][0]
            values["outvocab.embed"] = seen["embed"][0]
        for index in range(predictions):
            values[f"dec.{index}.normed_query"] = seen["normed_query"][index]
            values[f"dec.{index}.rs_pooled"] = heads["rs_pooled"][index]
            values[f"dec.{index}.expanded_mask"] = seen["expanded_mask"][index]
            for part in ("mask_embed", "expanded_mask"):
                values[f"head.{index}.{part}"] = seen[part][index]
            for part, parts in heads.items():
                values[f"head.{index}.{part}"] = parts[index]
        return values

    def kernel_size(self) -> int:
        """The size with which masks were dilated last."""
        return int(self._lists["kernel_size"][-1])

    def _output(self, module: nn.Module, name: str) -> None:
        def keep(_module: nn.Module, _arguments: Any, output: Any) -> None:
            self._lists[name].append(output)

        self._stack.callback(module.register_forward_hook(keep).remove)

    def _input(self, module: nn.Module, name: str) -> None:
        def keep(_module: nn.Module, arguments: tuple[Any, ...]) -> None:
            self._lists[name].append(arguments[0])

        self._stack.callback(module.register_forward_pre_hook(keep).remove)

    def _call(self, owner: Any, function: str, look: Callable[..., dict[str, Any]]) -> None:
        """Keeps what `look` makes of the arguments that a function is called with."""
        original: Callable[..., Any] = getattr(owner, function)

        def keep(*arguments: Any) -> Any:
            for name, value in look(*arguments).items():
                self._lists[name].append(value)
            return original(*arguments)

        self._stack.enter_context(patch.object(owner, function, keep))

    @staticmethod
    def _dilate(
        mask_logits: Tensor, sizes: Sequence[int | Tensor], shares: Tensor, *_: Any
    ) -> dict[str, Any]:
        """The dilated mask at full size, which the network itself does not make."""
        dilated = [
            share * region_formation.dilate(mask_logits, int(size))
            for size, share in zip(sizes, shares, strict=True)
        ]
        return {"expanded_mask": sum(dilated), "kernel_size": sizes[-1]}
