import pytest

from score_hf.scenes.vocabulary import read_vocabulary


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "\x00- ship", "is no valid YAML (unacceptable character"),
        ("a.yaml", "[" * 5000, "is no valid YAML (maximum recursion"),
        ("a.yaml", "- 2001-99-99", "is no valid YAML (month must be in 1..12)"),
        ("a.yaml", "- &a [*a]", "it stands for more than 100,000 values"),
        ("a.yaml", f"- {{name: ship, id: {'9' * 400}}}", "`id` must be a number from 0"),
        ("a.csv", f"name,threshold\nship,{'9' * 400}\n", "`threshold` must be a number from 0"),
    ],
)
def test_damaged_files_are_told_in_a_sentence(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match="`--classes-file`") as told:
        read_vocabulary(path)
    assert message in str(told.value) and "\n" not in str(told.value)
