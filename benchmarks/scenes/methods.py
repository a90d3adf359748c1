"""The methods of the comparison, each as a user of the package would call it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from score_hf.scenes import MatchingRule, Tile, TileGrid, Window, make_pieces, stitch

from .four_classes import CLASSES
from .predictors import Perfect, window_of
from .scoring import Result

TILE, OVERLAP = 1024, 256


def _whole(picture: np.ndarray) -> Window:
    return Window(0, 0, *picture.shape[:2])


def score_hf(picture: np.ndarray, predictor: Perfect) -> list[Result]:
    """This package."""
    grid = TileGrid(*picture.shape[:2], TILE, OVERLAP)

    def read_tile(row: int, column: int) -> list[Any]:
        window = grid.window(row, column)
        tile = Tile(picture[window.slices_in(_whole(picture))], window)
        return make_pieces(tile, predictor([tile])[0], grid)

    merge = ["things", "things", "things", "stuff"]
    return [
        (one.label, one.window, one.mask())
        for one in stitch(grid, read_tile, MatchingRule(merge=merge))
    ]


def without_merging(picture: np.ndarray, predictor: Perfect) -> list[Result]:
    """Every tile for itself."""
    grid = TileGrid(*picture.shape[:2], TILE, OVERLAP)
    results = []
    for place in grid:
        window = grid.window(*place)
        for found in predictor.find(window):
            top, left = window.top + found.top, window.left + found.left
            height, width = found.mask.shape
            results.append((found.label, Window(top, left, top + height, left + width), found.mask))
    return results


def sahi(picture: np.ndarray, predictor: Perfect, **options: Any) -> list[Result]:
    """SAHI's sliced prediction, without its pass over the whole picture at once."""
    from sahi.models.base import DetectionModel
    from sahi.predict import get_sliced_prediction
    from sahi.prediction import ObjectPrediction
    from sahi.utils.cv import get_coco_segmentation_from_bool_mask

    class Model(DetectionModel):
        def load_model(self) -> None:
            self.model = predictor

        def perform_inference(self, image: np.ndarray) -> None:
            self._found = list(predictor.find(window_of(image)))

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = ((0, 0),), full_shape_list: Any = None
        ) -> None:
            shift, full = shift_amount_list[0], full_shape_list[0]
            listed = []
            for found in self._found:
                polygons = get_coco_segmentation_from_bool_mask(found.mask)
                moved = [
                    np.add(np.reshape(one, (-1, 2)), [found.left, found.top]).ravel().tolist()
                    for one in polygons
                    if len(one) >= 6
                ]
                if moved:
                    listed.append(
                        ObjectPrediction(
                            segmentation=moved,
                            category_id=found.label,
                            category_name=CLASSES[found.label],
                            score=found.score,
                            shift_amount=list(shift),
                            full_shape=list(full),
                        )
                    )
            self._object_prediction_list_per_image = [listed]

        @property
        def category_names(self) -> list[str]:
            return list(CLASSES)

        @property
        def num_categories(self) -> int:
            return len(CLASSES)

        @property
        def has_mask(self) -> bool:
            return True

    model = Model(model_path="", confidence_threshold=0.3, load_at_init=True, device="cpu")
    share = OVERLAP / TILE
    predicted = get_sliced_prediction(
        picture,
        model,
        slice_height=TILE,
        slice_width=TILE,
        overlap_height_ratio=share,
        overlap_width_ratio=share,
        perform_standard_pred=False,
        verbose=0,
        **options,
    )
    results = []
    for one in predicted.object_prediction_list:
        left, top, right, bottom = (round(side) for side in one.bbox.to_xyxy())
        window = Window(max(top - 2, 0), max(left - 2, 0), bottom + 2, right + 2).intersection(
            _whole(picture)
        )
        mask = one.mask.bool_mask[window.slices_in(_whole(picture))]
        results.append((one.category.id, window, mask.copy()))
    return results


def sahi_nms(picture: np.ndarray, predictor: Perfect) -> list[Result]:
    """SAHI with suppression by intersection over union instead of its default, merging."""
    return sahi(
        picture,
        predictor,
        postprocess_type="NMS",
        postprocess_match_metric="IOU",
        postprocess_match_threshold=0.5,
    )


def supervision(picture: np.ndarray, predictor: Perfect, merge: bool = False) -> list[Result]:
    """supervision's slicer with compact masks and its default filter, suppression by masks."""
    import supervision as sv

    def callback(part: np.ndarray) -> Any:
        window = window_of(part)
        found = list(predictor.find(window))
        masks = np.zeros((len(found), window.height, window.width), dtype=bool)
        for mask, one in zip(masks, found, strict=True):
            height, width = one.mask.shape
            mask[one.top : one.top + height, one.left : one.left + width] = one.mask
        if not found:
            return sv.Detections.empty()
        return sv.Detections(
            xyxy=sv.mask_to_xyxy(masks).astype(float),
            mask=masks,
            confidence=np.array([one.score for one in found]),
            class_id=np.array([one.label for one in found]),
        )

    kinds = sv.OverlapFilter
    slicer = sv.InferenceSlicer(
        callback,
        slice_wh=(TILE, TILE),
        overlap_wh=(OVERLAP, OVERLAP),
        overlap_filter=kinds.NON_MAX_MERGE if merge else kinds.NON_MAX_SUPPRESSION,
        thread_workers=1,
        compact_masks=True,
    )
    detections = slicer(picture)
    results = []
    for index, (left, top, right, bottom) in enumerate(detections.xyxy.astype(int).tolist()):
        window = Window(top, left, bottom + 1, right + 1).intersection(_whole(picture))
        mask = np.asarray(detections.mask[index])[window.slices_in(_whole(picture))]
        results.append((int(detections.class_id[index]), window, mask.copy()))
    return results


def supervision_merge(picture: np.ndarray, predictor: Perfect) -> list[Result]:
    """supervision's slicer with its filter that merges."""
    return supervision(picture, predictor, merge=True)


METHODS: dict[str, Callable[[np.ndarray, Perfect], list[Result]]] = {
    "score_hf": score_hf,
    "no merging": without_merging,
    "sahi (default)": sahi,
    "sahi (NMS, IoU 0.5)": sahi_nms,
    "supervision (default)": supervision,
    "supervision (merge)": supervision_merge,
}
