import pytest
from huggingface_hub import constants

from score_hf.conversion.open_clip.downloads import download
from tests.conversion.hub_stand_in import hub_stand_in


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Repositories of a stand-in, which this process takes for the Hub."""
    with hub_stand_in() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        files = {"open_clip_pytorch_model.bin": b"old", "ckpt/other.pt": b"other"}
        server.repositories["model", "me/clip"] = {"private": False, "files": files}
        yield files


def test_a_file_is_downloaded_once_and_then_found(hub, monkeypatch):
    assert download("context", "me/clip", "ckpt/other.pt", "it").read_bytes() == b"other"

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert download("context", "me/clip", "ckpt/other.pt", "it").read_bytes() == b"other"


def test_weights_go_by_open_clip_s_names_and_safetensors_go_first(hub):
    assert download("context", "me/clip", None, "it").read_bytes() == b"old"

    hub["open_clip_model.safetensors"] = b"new"
    assert download("context", "me/clip", None, "it").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("repository", "file", "said"),
    [
        ("me/clip", "gone.pt", "`context`: gone.pt of me/clip is not in the cache .* and give it"),
        ("me/other", None, "`context`: the file of weights of me/other .* Repository Not Found"),
        ("me/clip/more", None, "`context` must name a repository as 'hf-hub:owner/repository'"),
    ],
)
def test_what_is_not_there_is_one_sentence(hub, repository, file, said):
    with pytest.raises(ValueError, match=said) as error:
        download("context", repository, file, "it")
    assert "\n" not in str(error.value)
