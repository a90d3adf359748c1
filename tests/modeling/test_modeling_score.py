import contextlib
from collections import Counter
from functools import partial
from itertools import product

import pytest
import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.modeling.batch_padding import OUTSIDE
from score_hf.modeling.mask_decoder import ScoreMaskDecoderLayer
from score_hf.modeling.pixel_decoder import ScorePixelDecoderLayer
from score_hf.modeling.scene_context import ScoreRegionLayer
from tests.tiny import make_inputs, make_labels, tiny_config

TRUNKS = ("general_trunk.", "text_tower.", "context_trunk.", "context_text_tower.")
LOGITS = ("class_queries_logits", "in_vocabulary_logits", "out_of_vocabulary_logits")
GLOBAL_CONTEXTS = ("none", "add", "concat", "attention", "equation", "tokens")
REGIONS = (
    ("none", "learned"),
    ("cls", "learned"),
    ("joint", "learned"),
    *product(("region", "intermediate"), ("learned", "fixed", "clamp")),
)
# The trunk out of vocabulary is independent of the rest: alternately the one and the other.
VARIANTS = [
    (global_context, *region, ("general", "context")[index % 2])
    for index, (global_context, region) in enumerate(product(GLOBAL_CONTEXTS, REGIONS))
]


OURS = {"global_context": "tokens", "region_context": "joint"}


def build(**changes):
    torch.manual_seed(0)
    return ScoreForInstanceSegmentation(tiny_config(**changes)).eval()


def batch(model, images=2):
    return make_inputs(model.config, images), make_labels(model.config, images)


def prompts(count=3):
    torch.manual_seed(1)
    ids = torch.randint(0, 590, (count, 6))
    ids[:, 0], ids[:, -1] = 598, 599
    return ids


def uneven(model):
    """Three images of different size in one canvas, each also alone with its own padding."""
    torch.manual_seed(2)
    sizes = [(64, 96), (40, 50), (33, 64)]
    pixels, mask = torch.zeros(3, 3, 64, 96), torch.zeros(3, 64, 96, dtype=torch.int64)
    alone = []
    for index, (height, width) in enumerate(sizes):
        image = torch.randn(3, height, width)
        pixels[index, :, :height, :width] = image
        mask[index, :height, :width] = 1
        alone.append({"pixel_values": image[None], "pixel_mask": torch.ones(1, height, width)})
    return {"pixel_values": pixels, "pixel_mask": mask}, alone, sizes


class TestVariants:
    @pytest.mark.parametrize(
        ("global_context", "region_context", "region_kernel", "out_of_vocabulary"), VARIANTS
    )
    def test_each_segments_and_learns(
        self, global_context, region_context, region_kernel, out_of_vocabulary
    ):
        model = build(
            global_context=global_context,
            region_context=region_context,
            region_kernel=region_kernel,
            out_of_vocabulary=out_of_vocabulary,
        )
        inputs, labels = batch(model, images=1)
        with torch.no_grad():
            outputs = model(**inputs)
        assert outputs.class_queries_logits.shape == (1, 8, 4)
        assert outputs.masks_queries_logits.shape == (1, 8, 16, 16)
        assert outputs.class_queries_logits.isfinite().all()
        torch.testing.assert_close(outputs.class_queries_logits.exp().sum(-1), torch.ones(1, 8))

        model.train()(**inputs, **labels).loss.backward()
        for name, parameter in model.named_parameters():
            frozen = name.startswith(TRUNKS) or name == "context_logit_scale"
            assert parameter.requires_grad == (not frozen), name
            assert (parameter.grad is None) == frozen, name

    def test_the_baseline_has_nothing_of_the_context(self):
        model = build(region_context="none", global_context="none")
        assert not {"context_trunk", "region_integration", "global_adaptation"} & {
            name for name, _ in model.named_children()
        }
        inputs, _ = batch(model)
        assert model(**inputs).class_queries_logits.isfinite().all()

    def test_every_variant_computes_something_else(self):
        fields = {
            "global_context": GLOBAL_CONTEXTS,
            "region_context": ("none", "cls", "region", "joint"),
        }
        seen = []
        for name, values in fields.items():
            for value in values:
                model = build(**{name: value})
                inputs, _ = batch(model, images=1)
                seen.append(model(**inputs).in_vocabulary_logits)
        defaults = 2  # the default of each field is the same model
        different = {tuple(logits.flatten().tolist()) for logits in seen}
        assert len(different) == len(seen) - defaults + 1

    def test_delta_and_kernel_logits_learn_where_they_are_used(self):
        for kernel, name in (("clamp", "delta"), ("learned", "kernel_logits")):
            model = build(region_kernel=kernel).train()
            inputs, labels = batch(model)
            model(**inputs, **labels).loss.backward()
            assert getattr(model.region_integration.formation, name).grad.abs().max() > 0

    def test_queries_and_keys_over_one_key_have_a_gradient_of_exactly_zero(self):
        model = build().train()
        inputs, labels = batch(model)
        model(**inputs, **labels).loss.backward()
        for name, parameter in model.named_parameters():
            if name.startswith(("global_adaptation.attention", "region_integration.layers")):
                zero = ".q_proj." in name or ".k_proj." in name
                assert (parameter.grad.abs().max() == 0) == zero, name

    def test_over_many_keys_queries_and_keys_learn(self):
        model = build(**OURS).train()
        inputs, labels = batch(model)
        model(**inputs, **labels).loss.backward()
        for name, parameter in model.named_parameters():
            attends = name.startswith(("global_adaptation.attention", "region_integration.layers"))
            # A key's bias adds the same to all weights, which softmax takes away again.
            if attends and not name.endswith("k_proj.bias"):
                assert parameter.grad.abs().max() > 1e-8, name

    def test_two_clips_of_different_width_meet_through_a_projection(self):
        context = {**tiny_config().context_config.to_dict(), "projection_dim": 16}
        text = {**tiny_config().text_config.to_dict(), "projection_dim": 16}
        model = build(context_config=context, context_text_config=text, out_of_vocabulary="context")
        inputs, labels = batch(model)
        model.train()(**inputs, **labels).loss.backward()
        assert model.region_integration.projection.weight.grad.abs().max() > 0
        assert model.global_adaptation.projection.weight.grad.abs().max() > 0
        classifier = model.eval().build_classifier(prompts())
        assert classifier.context_embeddings.shape == (3, 16)
        assert model(**inputs, classifier=classifier).class_queries_logits.isfinite().all()

    def test_the_kernel_learns_for_its_calls_and_then_stays(self):
        model = build(kernel_learning_calls=4).train()
        inputs, labels = batch(model)
        formation = model.region_integration.formation
        # Three predictions (one more than layers) call it once each.
        for calls, chosen in ((3, False), (4, True), (4, True)):
            model(**inputs, **labels)
            assert int(formation.calls) == calls and (int(formation.chosen) >= 0) == chosen


class TestTrunks:
    def test_frozen_trunks_stay_in_evaluation(self):
        for model in (build().train(), ScoreForInstanceSegmentation(tiny_config())):
            assert model.training and model.mask_decoder.training
            assert not any(
                trunk.training
                for trunk in (model.general_trunk, model.text_tower, model.context_trunk)
            )

    def test_free_trunks_learn(self):
        model = build(frozen_trunks=False).train()
        assert model.general_trunk.training
        inputs, labels = batch(model)
        model(**inputs, **labels, input_ids=prompts()).loss.backward()
        for parameter in (
            model.general_trunk.embeddings.patch_embeddings.weight,
            model.text_tower.text_model.embeddings.token_embedding.weight,
            model.context_trunk.vision_model.embeddings.patch_embedding.weight,
        ):
            assert parameter.grad.abs().max() > 0


class TestVocabulary:
    @torch.no_grad()
    def test_prompts_and_their_classifier_are_the_same(self, tiny_model):
        inputs, _ = batch(tiny_model)
        vocabulary = {
            "input_ids": prompts(6),
            "attention_mask": torch.ones(6, 6, dtype=torch.int64),
            "class_ids": torch.tensor([0, 1, 0]),
            "seen_classes": torch.tensor([True, False]),
        }
        classifier = tiny_model.build_classifier(**vocabulary)
        assert classifier.embeddings.shape == (3, 32)
        expected = tiny_model(**inputs, **vocabulary)
        found = tiny_model(**inputs, classifier=classifier)
        assert torch.equal(found.class_queries_logits, expected.class_queries_logits)
        assert found.class_queries_logits.shape == (2, 8, 3)
        assert found.seen_classes.tolist() == [[1, 0]] * 2

    @torch.no_grad()
    def test_a_plain_tensor_is_a_classifier(self, tiny_model):
        inputs, _ = batch(tiny_model)
        classifier = tiny_model.build_classifier(prompts())
        expected = tiny_model(**inputs, classifier=classifier)
        found = tiny_model(**inputs, classifier=classifier.embeddings)
        assert torch.equal(found.class_queries_logits, expected.class_queries_logits)

    @torch.no_grad()
    def test_seen_classes_trust_the_trained_scores_more(self):
        model = build(alpha=0, beta=1)
        inputs, _ = batch(model)
        logits = {}
        for seen in (True, False):
            classifier = model.build_classifier(prompts(), seen_classes=torch.tensor([seen] * 3))
            logits[seen] = model(**inputs, classifier=classifier)
        outputs = logits[True]
        torch.testing.assert_close(
            outputs.class_queries_logits.exp(), outputs.in_vocabulary_logits.softmax(-1)
        )
        p = logits[False].class_queries_logits[..., :-1].softmax(-1)
        q = logits[False].out_of_vocabulary_logits[..., :-1].softmax(-1)
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)

    @torch.no_grad()
    @pytest.mark.parametrize("out_of_vocabulary", ["general", "context"])
    def test_a_stored_vocabulary_needs_no_names(self, out_of_vocabulary):
        model = build(stored_synonyms=0, id2label=None, out_of_vocabulary=out_of_vocabulary)
        inputs, _ = batch(model)
        classifier = model.build_classifier(
            prompts(4),
            class_ids=torch.tensor([0, 1, 1, 2]),
            seen_classes=torch.tensor([True, False, True]),
        )
        expected = model(**inputs, classifier=classifier)
        model.store_vocabulary(classifier, ["ship", "tank", "harbor"], keep_text_tower=False)
        assert model.config.id2label == {0: "ship", 1: "tank", 2: "harbor"}
        assert model.config.label2id == {"ship": 0, "tank": 1, "harbor": 2}
        assert not any("text_tower" in name for name, _ in model.named_modules())
        found = model(**inputs)
        assert torch.equal(found.class_queries_logits, expected.class_queries_logits)
        assert found.seen_classes.tolist() == [[1, 0, 1]] * 2

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"classifier": torch.randn(3, 31)}, r"`classifier`.*\(classes, 32\), got \(3, 31\)"),
            (
                {"classifier": torch.randn(3, 32), "input_ids": prompts()},
                "either `classifier` or `input_ids`",
            ),
            (
                {"classifier": torch.randn(3, 32), "class_ids": torch.arange(3)},
                "`class_ids` and `seen_classes` belong to `input_ids`",
            ),
            ({"seen_classes": torch.ones(3).bool()}, "`seen_classes` belong to `input_ids`"),
            ({"input_ids": prompts(5), "class_ids": torch.arange(2)}, r"got \(5, 6\) and 2"),
            ({"input_ids": prompts(0)}, r"got \(0, 6\) and 0"),
            (
                {"input_ids": prompts(2), "class_ids": torch.tensor([0, 2])},
                r"each of the 3 classes a name, counted from 0, got \[0, 2\]",
            ),
            (
                {"input_ids": prompts(2), "seen_classes": torch.ones(3).bool()},
                r"each of the 3 classes a name, counted from 0, got \[0, 1\]",
            ),
            (
                {"input_ids": prompts(2), "attention_mask": torch.ones(2, 3)},
                r"`attention_mask` must have .* \(2, 6\), got \(2, 3\)",
            ),
            ({"mask_labels": [torch.ones(1, 64, 64)]}, "`mask_labels` and `class_labels`"),
            (
                {
                    "mask_labels": [torch.ones(1, 64, 64)],
                    "class_labels": [torch.tensor([3])],
                },
                r"`class_labels\[0\]` must be .* 0 to 2, got \[3\]",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused_in_one_sentence(self, tiny_model, arguments, message):
        pixels = make_inputs(tiny_model.config, 1)["pixel_values"]
        with pytest.raises(ValueError, match=message):
            tiny_model(pixels, **arguments)

    def test_without_any_vocabulary_it_says_what_to_give(self):
        model = build(stored_synonyms=0)
        inputs, _ = batch(model)
        with pytest.raises(ValueError, match="No classes to look for: give `classifier`"):
            model(**inputs)

    def test_storing_checks_names_and_classifier(self):
        model = build(out_of_vocabulary="context")
        with pytest.raises(ValueError, match=r"`class_names` must hold 3 names.*got 2"):
            model.store_vocabulary(model.build_classifier(prompts()), ["ship", "tank"])
        with pytest.raises(ValueError, match="`classifier` has no `context_embeddings`"):
            model.store_vocabulary(torch.randn(3, 32), ["ship", "tank", "harbor"])
        with pytest.raises(ValueError, match="`classifier` must have embeddings"):
            model.store_vocabulary(torch.randn(3, 8), ["ship", "tank", "harbor"])

    def test_without_text_tower_names_cannot_be_encoded(self):
        model = build(text_tower=False)
        for act in (model.get_input_embeddings, lambda: model.build_classifier(prompts())):
            with pytest.raises(ValueError, match="without its text tower"):
                act()
        inputs, _ = batch(model)
        assert model(**inputs).class_queries_logits.isfinite().all()


class TestPadding:
    @torch.no_grad()
    @pytest.mark.parametrize("changes", [{}, {"out_of_vocabulary": "context"}, OURS])
    def test_alone_a_result_does_not_depend_on_the_batch(self, changes):
        model = build(batch_padding="alone", **changes)
        inputs, alone, sizes = uneven(model)
        together = model(**inputs, output_auxiliary_logits=True, output_hidden_states=True)
        assert together.image_sizes.tolist() == [list(size) for size in sizes]
        assert together.masks_queries_logits.shape == (3, 8, 16, 24)
        for index, single in enumerate(alone):
            expected = model(**single, output_auxiliary_logits=True, output_hidden_states=True)
            height, width = expected.masks_queries_logits.shape[-2:]
            masks = together.masks_queries_logits[index]
            torch.testing.assert_close(masks[:, :height, :width], expected.masks_queries_logits[0])
            assert (masks[:, height:] == OUTSIDE).all() and (masks[..., width:] == OUTSIDE).all()
            for name in LOGITS:
                torch.testing.assert_close(together[name][index], expected[name][0])
            for name in ("auxiliary_class_logits", "hidden_states"):
                for ours, theirs in zip(together[name], expected[name], strict=True):
                    torch.testing.assert_close(ours[index], theirs[0])

    @torch.no_grad()
    def test_together_it_does_and_equals_the_padded_images(self):
        model = build(batch_padding="together")
        inputs, alone, _ = uneven(model)
        found = model(**inputs).class_queries_logits
        assert not torch.allclose(found[1], model(**alone[1]).class_queries_logits[0], atol=1e-3)
        torch.testing.assert_close(found, model(inputs["pixel_values"]).class_queries_logits)

    @torch.no_grad()
    def test_any_size_is_padded_to_what_the_trunk_needs(self, tiny_model):
        pixels = torch.randn(1, 3, 50, 70)
        outputs = tiny_model(pixels)
        assert outputs.masks_queries_logits.shape == (1, 8, 16, 24)
        assert outputs.image_sizes.tolist() == [[50, 70]]
        padded = torch.nn.functional.pad(pixels, (0, 26, 0, 14))
        torch.testing.assert_close(
            outputs.class_queries_logits, tiny_model(padded).class_queries_logits
        )

    @torch.no_grad()
    def test_labels_change_no_result(self, tiny_model):
        inputs, _, sizes = uneven(tiny_model)
        labels = {
            "mask_labels": [torch.zeros(1, 64, 96) for _ in sizes],
            "class_labels": [torch.zeros(1, dtype=torch.int64) for _ in sizes],
        }
        for mask, (height, width) in zip(labels["mask_labels"], sizes, strict=True):
            mask[:, : height // 2, : width // 2] = 1
        expected = tiny_model(**inputs)
        found, again = (tiny_model(**inputs, **labels) for _ in range(2))
        assert torch.equal(found.class_queries_logits, expected.class_queries_logits)
        assert torch.equal(found.masks_queries_logits, expected.masks_queries_logits)
        assert found.loss.isfinite() and torch.equal(found.loss, again.loss)
        assert expected.loss is None


class TestOutputs:
    @torch.no_grad()
    def test_a_tuple_starts_with_loss_classes_and_masks(self, tiny_model):
        inputs, labels = batch(tiny_model)
        outputs = tiny_model(**inputs, **labels)
        order = list(outputs)
        assert order[:5] == [
            "loss",
            "class_queries_logits",
            "masks_queries_logits",
            "image_sizes",
            "seen_classes",
        ]
        values = tiny_model(**inputs, **labels, return_dict=False)
        assert isinstance(values, tuple) and len(values) == len(order)
        for name, value in zip(order[:5], values, strict=False):
            assert torch.equal(outputs[name], value)
        assert set(outputs.losses) == {
            f"loss_{kind}{suffix}"
            for kind in ("class", "mask", "dice")
            for suffix in ("", "_0", "_1")
        }
        assert torch.equal(tiny_model(**inputs, return_dict=False)[0], outputs.class_queries_logits)

    @torch.no_grad()
    def test_hidden_states_and_attentions_have_their_shapes(self):
        model = build()
        model.set_attn_implementation("eager")
        inputs, _ = batch(model)
        outputs = model(**inputs, output_hidden_states=True, output_attentions=True)
        assert [state.shape for state in outputs.hidden_states] == [(2, 8, 32)] * 3
        assert [weights.shape for weights in outputs.attentions] == [(2, 4, 8, 8)] * 2
        assert [weights.shape for weights in outputs.cross_attentions] == [
            (2, 4, 8, 4),
            (2, 4, 8, 16),
        ]
        plain = model(**inputs)
        assert plain.hidden_states is None and plain.attentions is None
        assert torch.equal(plain.class_queries_logits, outputs.class_queries_logits)

    @torch.no_grad()
    def test_all_predictions_are_there_if_asked_for(self, tiny_model):
        inputs, _ = batch(tiny_model)
        outputs = tiny_model(**inputs, output_auxiliary_logits=True)
        assert len(outputs.auxiliary_class_logits) == len(outputs.auxiliary_mask_logits) == 3
        assert torch.equal(outputs.auxiliary_class_logits[-1], outputs.in_vocabulary_logits)
        assert torch.equal(outputs.auxiliary_mask_logits[-1], outputs.masks_queries_logits)
        only_last = tiny_model(**inputs)
        assert only_last.auxiliary_class_logits is None
        assert torch.equal(only_last.class_queries_logits, outputs.class_queries_logits)

    @torch.no_grad()
    @pytest.mark.parametrize("changes", [{}, OURS], ids=["original", "ours"])
    def test_both_kinds_of_attention_agree(self, changes):
        model = build(**changes)
        inputs, _ = batch(model)
        found = {}
        for kind in ("eager", "sdpa"):
            model.set_attn_implementation(kind)
            assert model.config._attn_implementation == kind
            assert model.mask_decoder.config._attn_implementation == kind
            found[kind] = model(**inputs)
        torch.testing.assert_close(
            found["eager"].class_queries_logits, found["sdpa"].class_queries_logits
        )
        torch.testing.assert_close(
            found["eager"].masks_queries_logits, found["sdpa"].masks_queries_logits
        )


class TestTraining:
    @pytest.mark.parametrize(
        ("use_reentrant", "region_context"), [(True, "region"), (False, "region"), (False, "joint")]
    )
    def test_checkpointing_runs_our_layers_twice_with_the_same_gradients(
        self, use_reentrant, region_context
    ):
        model = build(region_dropout=0.0, region_context=region_context).train()
        inputs, labels = batch(model)
        kinds = (ScorePixelDecoderLayer, ScoreMaskDecoderLayer, ScoreRegionLayer)
        gradients, calls = [], []
        for checkpointing in (False, True):
            if checkpointing:
                # Its name until Transformers 5.20, and its name after that.
                enable = getattr(model, "activation_checkpointing_enable", None)
                (enable or model.gradient_checkpointing_enable)({"use_reentrant": use_reentrant})
            counts = Counter()

            def count(kind, *_, counts=counts):
                counts[kind] += 1

            with contextlib.ExitStack() as stack:
                for module in model.modules():
                    if type(module) in kinds:
                        # A part within a layer runs whenever the layer's forward does.
                        hook = module.fc1.register_forward_hook(partial(count, type(module)))
                        stack.callback(hook.remove)
                torch.manual_seed(3)
                model(**inputs, **labels).loss.backward()
            calls.append(counts)
            gradients.append({name: p.grad for name, p in model.named_parameters()})
            model.zero_grad()
        for kind in kinds:
            assert calls[1][kind] == 2 * calls[0][kind] > 0
        for name, gradient in gradients[0].items():
            if gradient is not None:
                torch.testing.assert_close(gradients[1][name], gradient, msg=name)

    def test_a_few_steps_learn_one_batch(self):
        model = build(region_dropout=0.0).train()
        inputs, labels = batch(model)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
        losses = []
        for _ in range(20):
            loss = model(**inputs, **labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.75 * losses[0]

    @pytest.mark.parametrize("changes", [{}, OURS], ids=["original", "ours"])
    def test_mixed_precision_learns(self, changes):
        model = build(**changes).train()
        inputs, labels = batch(model)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = model(**inputs, **labels)
        outputs.loss.backward()
        assert outputs.loss.dtype == torch.float32
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None and parameter.grad.isfinite().all(), name

    @pytest.mark.parametrize("use_ids", [True, False])
    def test_an_image_without_objects_is_a_lesson_too(self, use_ids):
        model = build().train()
        inputs, labels = batch(model)
        labels["mask_labels"][0] = torch.zeros(0, 64, 64)
        labels["class_labels"][0] = torch.zeros(0, dtype=torch.int64)
        vocabulary = {"input_ids": prompts()} if use_ids else {}
        loss = model(**inputs, **labels, **vocabulary).loss
        loss.backward()
        assert loss.isfinite()
