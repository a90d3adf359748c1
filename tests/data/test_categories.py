import pytest

from score_hf.data import categories
from score_hf.data.categories import match_names
from score_hf.processing.prompts import parse_class_names

TABLES = {
    name: table
    for name, table in vars(categories).items()
    if name.isupper() and isinstance(table, tuple)
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_hold_each_name_once_however_it_is_spelled(name):
    table = TABLES[name]
    assert match_names(table, table) == {one: one for one in table}
    # A comma would make synonyms of what is one class.
    assert parse_class_names("; ".join(table)) == list(table)


def test_names_match_in_other_spellings():
    spelled = ["airplane", "baseballfield", "Expressway-Service-area", "expresswaytollstation"]
    assert list(match_names([*spelled, "dragon"], categories.SIOR).values()) == [
        "airplane",
        "baseball field",
        "expressway-service-area",
        "expressway-toll-station",
    ]
    assert match_names(["large-vehicle"], categories.ISAID) == {"large-vehicle": "Large_Vehicle"}
