import pytest
import torch

from score_hf import ScoreImageProcessor
from score_hf.processing import predictions

PROCESSOR = ScoreImageProcessor()


def halves(scores, split=8, sure=9.0):
    """Two queries, left and right of `split` of 16 columns of cells."""
    masks = torch.full((2, 16, 16), -sure)
    masks[0, :, :split] = sure
    masks[1, :, split:] = sure
    scores = torch.tensor(scores)
    logits = torch.cat([scores, 1 - scores.sum(-1, keepdim=True)], -1).log()
    return {"class_queries_logits": logits[None], "masks_queries_logits": masks[None]}


def noise(queries=9, classes=4):
    generator = torch.Generator().manual_seed(3)
    return {
        "class_queries_logits": 2 * torch.randn(2, queries, classes + 1, generator=generator),
        "masks_queries_logits": 4 * torch.randn(2, queries, 10, 12, generator=generator),
        "image_sizes": [(40, 48), (30, 37)],
    }


def test_every_pixel_gets_its_best_class():
    [labels] = PROCESSOR.post_process_semantic_segmentation(halves([[0.9, 0.05], [0.1, 0.8]]))
    assert labels.dtype == torch.int64
    assert labels[:, :30].unique().tolist() == [0]
    assert labels[:, 34:].unique().tolist() == [1]


def test_a_pixel_may_have_no_class():
    given = halves([[0.9, 0.05], [0.1, 0.4]])
    [labels] = PROCESSOR.post_process_semantic_segmentation(given, threshold=0.5)
    assert labels[:, :30].unique().tolist() == [0]
    assert labels[:, 34:].unique().tolist() == [-1]


def test_scores_are_sums_over_queries_whatever_the_chunks(monkeypatch):
    given = noise()
    monkeypatch.setattr(predictions, "_CHUNK_PIXELS", 2 * 44 * 52)
    results = PROCESSOR.post_process_semantic_segmentation(
        given, target_sizes=[(40, 48), (21, 64)], return_segmentation_scores=True
    )
    for index, result in enumerate(results):
        prediction = predictions.split_outputs(given, [(40, 48), (21, 64)])[index]
        masks = torch.cat([m for _, m in prediction.full_size_masks(torch.arange(9))])
        scores = given["class_queries_logits"][index].softmax(-1)[:, :-1]
        expected = torch.einsum("qc,qhw->chw", scores, masks.sigmoid())
        torch.testing.assert_close(result.segmentation_scores, expected)
        assert torch.equal(result.segmentation, result.segmentation_scores.argmax(0))


def test_only_the_best_queries_take_part():
    given = halves([[0.9, 0.05], [0.1, 0.8]])
    [labels] = PROCESSOR.post_process_semantic_segmentation(given, threshold=0.3, max_detections=1)
    assert labels.unique().tolist() == [-1, 0]
    [panoptic] = PROCESSOR.post_process_panoptic_segmentation(given, max_detections=1)
    assert [segment["label_id"] for segment in panoptic["segments_info"]] == [0]


def panoptic_by_definition(class_logits, masks, threshold, mask_threshold, overlap):
    """Mask2Former's procedure, all masks at once."""
    scores, labels = class_logits.softmax(-1).max(-1)
    kept = (labels != class_logits.shape[-1] - 1) & (scores > threshold)
    scores, labels, masks = scores[kept], labels[kept], masks[kept].sigmoid()
    segmentation = torch.zeros(masks.shape[1:], dtype=torch.int32)
    found = []
    if len(masks) == 0:
        return segmentation, found
    winners = (scores[:, None, None] * masks).argmax(0)
    for index, label in enumerate(labels.tolist()):
        inside = masks[index] >= mask_threshold
        won = winners == index
        if (won & inside).sum() == 0 or won.sum() / inside.sum() < overlap:
            continue
        found.append((len(found) + 1, label))
        segmentation[won & inside] = len(found)
    return segmentation, found


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.999])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.8])
def test_panoptic_follows_mask2former(monkeypatch, threshold, overlap):
    given = noise()
    monkeypatch.setattr(predictions, "_CHUNK_PIXELS", 2 * 44 * 52)
    results = PROCESSOR.post_process_panoptic_segmentation(
        given, threshold=threshold, mask_threshold=0.4, overlap_mask_area_threshold=overlap
    )
    for index, prediction in enumerate(predictions.split_outputs(given)):
        masks = torch.cat([m for _, m in prediction.full_size_masks(torch.arange(9))])
        segmentation, found = panoptic_by_definition(
            given["class_queries_logits"][index], masks, threshold, 0.4, overlap
        )
        result = results[index]
        assert torch.equal(result["segmentation"], segmentation)
        assert [(s["id"], s["label_id"]) for s in result["segments_info"]] == found
        assert not any(segment["was_fused"] for segment in result["segments_info"])


def test_segments_of_a_class_can_be_fused():
    given = halves([[0.7, 0.05], [0.8, 0.1]])
    [apart] = PROCESSOR.post_process_panoptic_segmentation(given)
    assert [segment["id"] for segment in apart["segments_info"]] == [1, 2]
    [fused] = PROCESSOR.post_process_panoptic_segmentation(given, label_ids_to_fuse={0})
    assert fused["segments_info"] == [{"id": 1, "label_id": 0, "score": 0.8, "was_fused": True}]
    assert fused["segmentation"][:, :30].eq(1).all()
    assert fused["segmentation"][:, 34:].eq(1).all()


def test_nothing_found_is_an_empty_map():
    [found] = PROCESSOR.post_process_panoptic_segmentation(
        halves([[0.2, 0.1], [0.1, 0.2]]), target_sizes=[(5, 7)]
    )
    assert found["segments_info"] == []
    assert found["segmentation"].dtype == torch.int32
    assert found["segmentation"].tolist() == [[0] * 7] * 5


@pytest.mark.parametrize(
    "options", [{"threshold": -1}, {"max_detections": 0}, {"target_sizes": [(1, 1)] * 2}]
)
def test_options_out_of_range_are_named(options):
    given = halves([[0.9, 0.05], [0.1, 0.8]])
    for method in (
        PROCESSOR.post_process_semantic_segmentation,
        PROCESSOR.post_process_panoptic_segmentation,
    ):
        with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
            method(given, **options)
