import pytest

from score_hf.processing.prompts import (
    TEMPLATES,
    build_prompts,
    check_class_names,
    check_templates,
    find_seen_classes,
    parse_class_names,
    split_synonyms,
)


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        (
            "ship, harbor; storage tank | oil tank",
            ["ship", "harbor", "storage tank, oil tank"],
        ),
        ("ship\nharbor\r\nplane", ["ship", "harbor", "plane"]),
        (" Ship ,, ;\n\n  \n harbor,\n", ["Ship", "harbor"]),
    ],
)
def test_typed_class_names_are_parsed(text, classes):
    assert parse_class_names(text) == classes


@pytest.mark.parametrize(
    ("text", "classes", "missing"),
    [
        ("ship,,harbor", ["ship", "harbor"], "1 empty name between separators, which is"),
        (",ship", ["ship"], "1 empty name "),
        ("ship; ;\n| harbor |", ["ship", "harbor"], "2 empty names between separators, which are"),
    ],
)
def test_missing_names_are_told(text, classes, missing):
    with pytest.warns(UserWarning, match=rf"`--classes` has {missing}.*: 'ship|'") as told:
        assert parse_class_names(text, "--classes") == classes
    assert len(told) == 1


@pytest.mark.parametrize(
    ("text", "error"), [("", ValueError), (" ,; |\n", ValueError), (["ship"], TypeError)]
)
def test_text_without_classes_is_refused(text, error):
    with pytest.raises(error, match="`text`"):
        parse_class_names(text)
    with pytest.raises(error, match="`--classes` must"):
        parse_class_names(text, "--classes")


def test_names_are_cleaned_and_blanks_around_synonyms_stripped():
    assert split_synonyms("Ground_Track-Field, SHIP ") == ["ground track field", "ship"]


def test_prompts_vary_the_template_fastest():
    templates = ["a {}.", "the {}."]
    prompts, class_ids = build_prompts(["ship", "Oil-Tank,storage_tank"], templates)
    assert prompts == [
        "a ship.",
        "the ship.",
        "a oil tank.",
        "the oil tank.",
        "a storage tank.",
        "the storage tank.",
    ]
    assert class_ids == [0, 1, 1]


def test_a_name_may_hold_braces():
    assert build_prompts(["{0} {x}"], ["photo of {}."])[0] == ["photo of {0} {x}."]


def test_default_templates():
    assert len(set(TEMPLATES)) == 18
    assert TEMPLATES[0] == "satellite imagery of {}."
    assert TEMPLATES[-1] == "aerial view of the {}."


def test_a_class_is_seen_if_any_synonym_is():
    training = ["Ship,boat", "storage_tank"]
    classes = ["vessel", "boat , vessel", "oil tank,storage-tank", "SHIP "]
    assert find_seen_classes(classes, training) == [False, True, True, True]


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ("ship", TypeError, r"string 'ship'; wrap it"),
        (
            "",
            TypeError,
            "`classes` must be a list .* blank string ''; write for",
        ),
        (" ,", TypeError, "blank string ' ,'"),
        (None, TypeError, "NoneType"),
        (5, TypeError, "int"),
        ({"ship"}, TypeError, "whose order numbers the classes, but got set"),
        ([], ValueError, "empty"),
        (["ship", 3], TypeError, r"`classes\[1\]`.*3"),
        (["ship", " "], ValueError, r"`classes\[1\]`.*empty name"),
        (["ship,"], ValueError, r"`classes\[0\]` is 'ship,'"),
        (["_-"], ValueError, "empty name"),
        (["ship", "\u200b "], ValueError, r"`classes\[1\]`.*empty name"),
        (["ship\udcff"], ValueError, "which is no text"),
        (["storage tank", "Storage_Tank"], ValueError, "'storage tank' twice"),
        (["ship, boat", "boat"], ValueError, "'boat' twice, in 'ship, boat' and in 'boat'"),
    ],
)
def test_bad_class_names_are_refused(classes, error, message):
    with pytest.raises(error, match=message):
        check_class_names(classes)


def test_one_class_may_repeat_a_synonym():
    assert check_class_names(("storage-tank, storage tank",)) == ["storage-tank, storage tank"]


@pytest.mark.parametrize(
    ("templates", "error", "message"),
    [
        ("a {}.", TypeError, "list of strings"),
        ([], ValueError, "empty"),
        (["a {}.", 1], TypeError, r"`templates\[1\]`"),
        (["a ship."], ValueError, r"`templates\[0\]`.*exactly one"),
        (["{} or {}"], ValueError, "exactly one"),
    ],
)
def test_bad_templates_are_refused(templates, error, message):
    with pytest.raises(error, match=message):
        check_templates(templates)
