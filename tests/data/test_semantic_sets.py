import pytest

from score_hf.data.semantic_sets import EVALUATED, FLAIR, FLOODNET, LANDDISCOVER, POTSDAM
from score_hf.processing.prompts import split_synonyms

# Table C of the paper.
PAPER = {
    "LandDiscover50K": "background, bare land, grass, pavement, road, tree, water, agriculture "
    "land, buildings, forest land, barren land, urban land, large vehicle, swimming pool, "
    "helicopter, bridge, plane, ship, soccer ball field, basketball court, ground track field, "
    "small vehicle, baseball diamond, tennis court, roundabout, storage tank, harbor, container "
    "crane, airport, helipad, chimney, expressway service area, expresswalltoll station, dam, "
    "golf field, overpass, stadium, train station, vehicle, windmill",
    "FLAIR": "building, pervious surface, impervious surface, bare soil, water, coniferous, "
    "deciduous, brushwood, vineyard, herbaceous vegetation, agricultural land, plowed land",
    "FAST": "A220, A321, A330, A350, ARJ21, baseball field, basketball court, Boeing737, "
    "Boeing747, Boeing777, Boeing787, bridge, bus, C919, cargo truck, dry cargo ship, dump truck, "
    "engineering ship, excavator, fishing boat, football field, intersection, liquid cargo ship, "
    "motorboat, other-airplane, other-ship, other-vehicle, passenger ship, roundabout, small car, "
    "tennis court, tractor, trailer, truck tractor, tugboat, van, warship",
    "Potsdam": "impervious surface, building, low vegetation, tree, car, clutter",
    "FloodNet": "building-flooded, building-non-flooded, road-flooded, road-non-flooded, water, "
    "tree, vehicle, pool, grass",
}


@pytest.mark.parametrize("set_", [LANDDISCOVER, *EVALUATED], ids=lambda set_: set_.title)
def test_prompts_are_those_of_the_paper(set_):
    paper = [split_synonyms(name) for name in PAPER[set_.title].split(", ")]
    names = set_.all_names if set_ is POTSDAM else set_.class_names
    assert [split_synonyms(name) for name in names] == paper
    # The paper counts no class that GSNet ignores, but for Potsdam's clutter.
    assert len(names) == set_.paper_classes


def test_table_a_has_these_columns():
    assert [set_.title for set_ in EVALUATED] == ["FLAIR", "FAST", "Potsdam", "FloodNet"]
    assert [set_.paper_images for set_ in EVALUATED] == [15_700, 3_207, 5_472, 898]


def test_gsnet_gives_only_floodnets_background_to_the_text_tower():
    assert FLOODNET.vocabulary == (*FLOODNET.class_names, "Background")
    for set_ in (FLAIR, POTSDAM):
        assert set_.unscored_names
        assert set_.vocabulary == set_.class_names
