import pytest

from score_hf.conversion.detectron2.recipe import read_recipe


def test_a_file_stands_on_its_base(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "lowest.yaml").write_text(
        "MODEL: {MASK_FORMER: {NHEADS: 8, NUM_OBJECT_QUERIES: 100}, DEVICE: cpu}\n"
    )
    (tmp_path / "base" / "middle.yaml").write_text(
        "_BASE_: lowest.yaml\nMODEL: {MASK_FORMER: {NUM_OBJECT_QUERIES: 250}}\n"
    )
    top = tmp_path / "top.yaml"
    top.write_text(
        "_BASE_: base/middle.yaml\n"
        "MODEL:\n  FC_CLIP: {EMBED_DIM: 768, GEOMETRIC_ENSEMBLE_ALPHA: 0.4}\n"
        'DATASETS:\n  TRAIN: ("openvocab_coco_2017_train_panoptic_with_sem_seg",)\n'
    )

    recipe = read_recipe(top)

    assert recipe.missing_base is None
    assert recipe.get("MODEL.MASK_FORMER") == {"NHEADS": 8, "NUM_OBJECT_QUERIES": 250}
    assert recipe.get("MODEL.MASK_FORMER.NHEADS.DEEPER", "nothing") == "nothing"
    assert recipe.whole_number("MODEL.MASK_FORMER.NHEADS") == 8
    assert recipe.own_number("GEOMETRIC_ENSEMBLE_ALPHA") == 0.4
    assert recipe.own_number("GEOMETRIC_ENSEMBLE_BETA") is None
    assert recipe.training_set() == "openvocab_coco_2017_train_panoptic_with_sem_seg"


def test_a_missing_base_is_remembered(tmp_path):
    path = tmp_path / "score.yaml"
    path.write_text("_BASE_: coco/base.yaml\nDATASETS: {TRAIN: [isaid_train_instance]}\n")

    recipe = read_recipe(path)

    assert recipe.missing_base == tmp_path / "coco" / "base.yaml"
    assert recipe.training_set() == "isaid_train_instance"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("_BASE_: self.yaml\n", r"is based on itself: _BASE_ is 'self\.yaml'"),
        ("MODEL: [\n", "cannot be read as detectron2's yaml"),
        ("name: me\n", r"with a section MODEL or a _BASE_, but it holds \['name'\]"),
        ("text", "but it holds str"),
        ("MODEL: 3\n", r"with a section MODEL .* but it holds \['MODEL'\]"),
        ("MODEL: !!python/object:os.system {}\n", "cannot be read as detectron2's yaml"),
    ],
)
def test_other_files_are_refused(tmp_path, text, said):
    path = tmp_path / "self.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_recipe(path)


def test_an_absent_or_binary_file_is_refused(tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "nothing.yaml", binary):
        with pytest.raises(ValueError, match="cannot be read as detectron2's yaml"):
            read_recipe(path)


def test_training_sets_that_are_no_names(tmp_path):
    path = tmp_path / "recipe.yaml"
    for written in ("[]", "3", '"(broken"'):
        path.write_text(f"MODEL: {{}}\nDATASETS: {{TRAIN: {written}}}\n")
        found = read_recipe(path).training_set()
        assert found is None if written != '"(broken"' else found == "(broken"


@pytest.mark.parametrize("value", ["[" * 5000, "{day: 2001-99-99}"])
def test_what_yaml_stumbles_over(tmp_path, value):
    (tmp_path / "config.yaml").write_text(f"MODEL: {value}")
    with pytest.raises(ValueError, match=r"^`config_file` .* cannot be read as detectron2's yaml"):
        read_recipe(tmp_path / "config.yaml")
