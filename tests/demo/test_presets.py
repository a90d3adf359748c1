from score_hf.data import categories, semantic_sets
from score_hf.demo.limits import Limits
from score_hf.demo.presets import OWN, list_presets
from score_hf.demo.vocabulary import read_vocabulary
from score_hf.processing.prompts import split_synonyms


def test_every_preset_reads_back_as_its_table():
    presets = list_presets(["plane, airplane", "ship"])
    tables = {
        OWN: ["plane, airplane", "ship"],
        "iSAID": categories.ISAID,
        "NWPU VHR-10": categories.NWPU,
        "SIOR (DIOR)": categories.SIOR,
        "SOTA (DOTA)": categories.SOTA,
        "FAST (FAIR1M)": categories.FAST,
        "LandDiscover50K": semantic_sets.LANDDISCOVER.vocabulary,
        "FLAIR": semantic_sets.FLAIR.vocabulary,
        "Potsdam": semantic_sets.POTSDAM.vocabulary,
        "FloodNet": semantic_sets.FLOODNET.vocabulary,
    }
    assert list(presets) == list(tables)
    for title, names in tables.items():
        read = read_vocabulary(presets[title], None, Limits())
        assert read.notice == ""
        assert list(read.content) == [tuple(split_synonyms(name)) for name in names]


def test_a_model_that_does_not_say_has_no_preset_of_its_own():
    assert OWN not in list_presets(None) and OWN not in list_presets([])
