import json
import time

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError

from score_hf.conversion.open_clip import downloads
from score_hf.conversion.open_clip.source import PAPER_CONTEXT, PAPER_GENERAL, find_source
from tests.conversion.open_clip.models import make_model, vit_config, write_folder


@pytest.fixture
def weights(tmp_path):
    torch.save({"visual.proj": torch.zeros(2, 2)}, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


@pytest.mark.parametrize(
    ("name", "file", "quick"),
    [
        ("ViT-L-14", "RemoteCLIP-ViT-L-14.pt", True),
        ("ViT-B-32", "RS5M_ViT-B-32.pt", True),
        ("ViT-H-14", "RS5M_ViT-H-14.pt", False),
        ("ViT-B-32", "SkyCLIP_ViT_B32_top50pct.zip", False),
        ("ViT-L-14", "SkyCLIP_ViT_L14_top30pct/epoch_20.pt", True),
        ("ViT-L-14", "CLIP_ViT_L14_LAION_RS/epoch_20.pt", True),
        ("ViT-B-32", "mine.pt", False),
        ("ViT-B-32-quickgelu", "mine.pt", True),
        ("ViT-B-32-quickgelu", "SkyCLIP_ViT_B32_top50pct.zip", True),
    ],
)
def test_activation_follows_from_name_and_file(tmp_path, name, file, quick):
    file = tmp_path / file
    file.parent.mkdir(exist_ok=True)
    torch.save({}, file)

    source = find_source("context", name, str(file))

    assert (source.activation == "quick_gelu") is quick
    assert find_source("context", name, str(file), "gelu").activation == "gelu"
    assert find_source("context", name, str(file), "quick_gelu").activation == "quick_gelu"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Stands in for the Hub: files by repository and name, and what was asked for."""
    files, asked = {}, []

    def download(repo_id, filename, local_files_only):
        assert not local_files_only
        asked.append((repo_id, filename))
        if (repo_id, filename) not in files:
            known = any(repository == repo_id for repository, _ in files)
            kind = EntryNotFoundError if known else OSError
            raise kind(f"cannot reach {repo_id}/{filename}")
        path = tmp_path / "hub" / repo_id / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[repo_id, filename])
        return str(path)

    monkeypatch.setattr(downloads, "hf_hub_download", download)
    monkeypatch.setattr(downloads, "_hub_answers", lambda: True)
    return files, asked


def test_the_paper_s_pair_is_asked_for_where_it_is_published(hub):
    files, asked = hub
    files[
        "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup", "open_clip_model.safetensors"
    ] = b""
    files["chendelong/RemoteCLIP", "RemoteCLIP-ViT-L-14.pt"] = b""

    general = find_source("general", *PAPER_GENERAL)
    context = find_source("context", *PAPER_CONTEXT)

    assert [repository for repository, _ in asked] == [general.hub_id, context.hub_id]
    assert (general.activation, context.activation) == ("gelu", "quick_gelu")
    assert general.file.name == "open_clip_model.safetensors"
    assert general.weights == "laion2b_s29b_b131k_ft_soup"
    assert context.file.name == "RemoteCLIP-ViT-L-14.pt"


def test_a_file_may_lie_in_a_folder_of_its_repository(hub):
    files, asked = hub
    files["Zilun/GeoRSCLIP", "ckpt/RS5M_ViT-H-14.pt"] = b""

    source = find_source("context", "ViT-H-14", "hf-hub:Zilun/GeoRSCLIP/ckpt/RS5M_ViT-H-14.pt")

    assert asked == [("Zilun/GeoRSCLIP", "ckpt/RS5M_ViT-H-14.pt")]
    assert (source.hub_id, source.activation) == ("Zilun/GeoRSCLIP", "gelu")


def test_a_tag_knows_its_activation_and_normalisation(hub):
    files, _ = hub
    for repository in (
        "timm/vit_large_patch14_clip_224.openai",
        "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    ):
        files[repository, "open_clip_model.safetensors"] = b""

    quick = find_source("context", "ViT-L/14", "openai")
    other = find_source("context", "ViT-L-14", "laion2b_s32b_b82k")

    assert quick.activation == "quick_gelu"
    assert (other.activation, other.mean, other.std) == ("gelu", (0.5,) * 3, (0.5,) * 3)


def test_a_model_of_the_hub_brings_its_configuration(hub):
    files, _ = hub
    config = {**vit_config(), "quick_gelu": True}
    content = {"model_cfg": config, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}}
    files["me/clip", "open_clip_config.json"] = json.dumps(content).encode()
    files["me/clip", "open_clip_pytorch_model.bin"] = b""

    source = find_source("context", "hf-hub:me/clip")

    assert source.config == config
    assert source.mean == (0.1, 0.2, 0.3)
    assert (source.hub_id, source.label) == ("me/clip", "me/clip")


@pytest.mark.parametrize(
    ("name", "weights", "remedy"),
    [
        ("ViT-L-14", "openai", "the file as `context_weights`"),
        ("ViT-L-14", "hf-hub:a/b/c.pt", "the file as `context_weights`"),
        ("hf-hub:a/b", None, "'local-dir:' and its folder as `context`"),
    ],
)
def test_without_network_one_sentence_says_what_to_do(hub, name, weights, remedy):
    with pytest.raises(ValueError, match=remedy) as error:
        find_source("context", name, weights)
    assert "cannot reach" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("offline", "reason"),
    [(True, "HF_HUB_OFFLINE switches the Hub off"), (False, "http://127.0.0.1:9 does not answer")],
)
def test_the_cache_is_enough_where_there_is_no_network(tmp_path, monkeypatch, offline, reason):
    folder = tmp_path / "models--chendelong--RemoteCLIP"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    torch.save({}, folder / "snapshots" / ("0" * 40) / "RemoteCLIP-ViT-L-14.pt")
    # Nobody has said so: where nothing answers the cache is looked at, as with HF_HUB_OFFLINE.
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    assert find_source("context", *PAPER_CONTEXT).file.is_file()
    start = time.monotonic()
    with pytest.raises(ValueError, match=f"is not in the cache and could not be .* was: {reason}"):
        find_source("general", *PAPER_GENERAL)
    # The Hub's client by itself tries for 23 seconds a file.
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("vit_l_14", "openai"), "must be a model of open_clip, such as 'ViT-L-14'"),
        (("ViT-L-15", "openai"), "must be a model of open_clip, or 'hf-hub:owner/repository'"),
        (("ViT-L-14", "laion"), r"one of the tags .* ViT-L-14 \(openai, .*\), got 'laion'"),
        (("ViT-L-14", None), "one of the tags .* got None"),
        (("ViT-L-14", "no/such.pt"), "no file is at 'no/such.pt'"),
        (("ViT-L-14", "hf-hub:file.pt"), "must be 'hf-hub:owner/repository/file'"),
        (("ViT-L-14", "openai", "relu"), "must be 'gelu' or 'quick_gelu', got 'relu'"),
        (("hf-hub:", None), "must name a repository as 'hf-hub:owner/repository', got 'hf-hub:'"),
        (("ViT-L-14", "a" * 400), "one of the tags"),
        (("ViT-L-14", "~no-such-user/file.pt"), "no file is at '~no-such-user/file.pt'"),
        (("local-dir:no", None), "must be a folder that holds open_clip_config.json"),
    ],
)
def test_unknown_models_and_weights(arguments, said):
    with pytest.raises(ValueError, match=said):
        find_source("context", *arguments)


def test_a_file_may_lie_at_home(weights, monkeypatch):
    monkeypatch.setenv("HOME", str(weights.parent))
    source = find_source("context", "ViT-B-32", f"~/{weights.name}")
    assert (source.file, source.weights) == (weights, weights.name)


def test_a_folder_needs_weights_or_a_file(tmp_path, weights):
    name = write_folder(tmp_path / "clip", vit_config(), make_model(vit_config()))
    (tmp_path / "clip" / "open_clip_pytorch_model.bin").unlink()

    with pytest.raises(ValueError, match="must say which file holds the weights"):
        find_source("context", name)
    assert find_source("context", name, str(weights)).file == weights


def test_bookkeeping_and_the_prefix_of_texts_are_left_out(tmp_path, weights):
    content = {
        "visual.proj": torch.zeros(2),
        "text.ln_final.weight": torch.ones(2),
        "text.attn_mask": torch.zeros(2, 2),
        "input_resolution": torch.tensor(224),
        "logit_scale": torch.tensor([2.0]),
    }
    torch.save(content, weights)

    read = find_source("context", "ViT-B-32", str(weights)).read()

    assert list(read) == ["visual.proj", "ln_final.weight", "logit_scale"]
    assert read["logit_scale"].shape == ()
