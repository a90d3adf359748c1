import argparse
import os
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from score_hf.conversion.reading import checkpoint_files
from score_hf.conversion.reading.checkpoint_files import read_tensors
from score_hf.conversion.reading.torchscript_archive import is_torchscript


@pytest.fixture
def state():
    torch.manual_seed(0)
    return {"block.weight": torch.randn(50, 60), "scale": torch.tensor(2.0)}


def assert_same(read, state):
    assert list(read) == list(state)
    assert all(torch.equal(read[name], state[name]) for name in state)


def test_plain_old_and_safe_files(state, tmp_path):
    torch.save(state, tmp_path / "plain.pt")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "safe.safetensors")
    save_file(state, tmp_path / "renamed.pt")

    for file in tmp_path.iterdir():
        assert_same(dict(sorted(read_tensors(file).items())), state)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", ""])
def test_training_checkpoints_are_unwrapped(state, tmp_path, key, prefix):
    content = {
        key: {prefix + name: tensor for name, tensor in state.items()},
        "best": np.float64(0.5),
        "iteration": np.int64(7),
        "done": np.bool_(True),
        "history": np.zeros(3, dtype=np.float32),
        "args": argparse.Namespace(lr=0.1),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
    }
    torch.save(content, tmp_path / "epoch_20.pt")

    assert_same(read_tensors(tmp_path / "epoch_20.pt"), state)


def test_names_that_numpy_1_wrote_are_known(state, tmp_path):
    file = tmp_path / "numpy1.pth"
    # The old format is one pickle, in which the name can be exchanged by its like.
    torch.save(
        {"model": state, "best": np.float64(0.5)}, file, _use_new_zipfile_serialization=False
    )
    content = file.read_bytes()
    assert b"numpy._core.multiarray" in content
    file.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))

    assert_same(read_tensors(file), state)


def test_arrays_of_a_state_dict_become_tensors(state, tmp_path):
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    torch.save({"model": arrays}, tmp_path / "arrays.pth")

    assert_same(read_tensors(tmp_path / "arrays.pth"), state)


def test_arrays_of_other_things_and_damaged_ones(state, tmp_path):
    arrays = {
        "names": np.array(["ship", None], dtype=object),
        "swapped": np.arange(6, dtype=">f4").reshape(2, 3),
        "by_columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    }
    torch.save({"model": {**state, **arrays}, "rng": np.random.get_state()}, tmp_path / "a.pth")

    read = read_tensors(tmp_path / "a.pth")

    assert list(read) == [*state, "swapped", "by_columns"]
    assert read["swapped"].tolist() == read["by_columns"].tolist() == [[0, 1, 2], [3, 4, 5]]

    class Damaged:
        def __reduce__(self):
            function, arguments, content = np.zeros(3).__reduce__()
            return function, arguments, (1, (4,), *content[2:])

    torch.save({"a": Damaged()}, tmp_path / "damaged.pth")
    with pytest.raises(ValueError, match=r"one of its arrays is damaged: cannot reshape"):
        read_tensors(tmp_path / "damaged.pth")


def test_an_array_of_foreign_addresses_is_never_made(tmp_path):
    """NumPy makes objects of any bytes; whoever looks at one of them crashes, or worse."""

    class Addresses:
        def __reduce__(self):
            return np.ndarray, ((4,), "O", bytearray(b"A" * 32))

    class Look:
        def __reduce__(self):
            return set, (Addresses(),)

    torch.save({"a": Look()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        read_tensors(tmp_path / "evil.pth")


def test_a_zip_around_one_checkpoint_is_looked_into(state, tmp_path):
    torch.save({"state_dict": state}, tmp_path / "epoch_20.pt")
    packed = tmp_path / "SkyCLIP_ViT_B32_top50pct.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "epoch_20.pt", "SkyCLIP_ViT_B32_top50pct/epoch_20.pt")
        archive.writestr("__MACOSX/SkyCLIP_ViT_B32_top50pct/._epoch_20.pt", "finder")
        archive.writestr("SkyCLIP_ViT_B32_top50pct/params.txt", "lr: 1e-9")

    assert_same(read_tensors(packed), state)


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(4, 2)
        self.mlp = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
        self.proj = nn.Parameter(torch.randn(4, 4).half())
        self.register_buffer("resolution", torch.tensor(224))

    def forward(self, x):
        return self.mlp(self.attn(x, x, x)[0]) @ self.proj.float() + self.resolution


# Making an archive warns of what newer PyTorch would use; OpenAI's archives were made so.
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:torch", "ignore::torch.jit.TracerWarning"
)


@pytest.fixture
def scripted(tmp_path):
    torch.manual_seed(0)
    tower = Tower().eval()
    torch.jit.trace(tower, torch.ones(2, 1, 4), check_trace=False).save(str(tmp_path / "jit.pt"))
    return tmp_path / "jit.pt", tower.state_dict()


def test_torchscript_is_read_without_torch_jit(scripted, monkeypatch):
    file, state = scripted
    monkeypatch.setattr(torch.jit, "load", None)

    read = read_tensors(file)

    assert is_torchscript(file)
    assert_same(dict(sorted(read.items())), dict(sorted(state.items())))
    assert read["proj"].dtype == torch.float16


def with_pickle(file, output, change):
    """Copies an archive of TorchScript with another pickle in it."""
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(output, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content) if name.endswith("/data.pkl") else content)
    return output


def test_torchscript_with_foreign_objects_is_refused(scripted, tmp_path):
    evil = with_pickle(
        scripted[0],
        tmp_path / "evil.pt",
        lambda content: content.replace(b"ccollections\nOrderedDict\n", b"cposix\nsystem\n", 1),
    )
    with pytest.raises(ValueError, match=r"objects of the type posix\.system, which are not read"):
        read_tensors(evil)


def test_torchscript_that_numbers_parts_beyond_its_size_is_refused(scripted, tmp_path):
    # Memory for 2**31 parts would be set aside.
    greedy = with_pickle(
        scripted[0],
        tmp_path / "greedy.pt",
        lambda content: content[:-1] + b"r\xff\xff\xff\x7f" + content[-1:],
    )
    with pytest.raises(ValueError, match="it numbers more parts than it has"):
        read_tensors(greedy)


class Touch:
    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return os.mkdir, (self.file,)


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_pickle_never_runs(state, tmp_path, new_format):
    content = {"state_dict": state, "extra": Touch(tmp_path / "made")}
    torch.save(content, tmp_path / "evil.pt", _use_new_zipfile_serialization=new_format)

    with pytest.raises(ValueError, match="could run code"):
        read_tensors(tmp_path / "evil.pt")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.pt", b"", "damaged or no checkpoint"),
        ("noise.pt", bytes(range(256)) * 9, "damaged or no checkpoint"),
        ("page.pt", b"<!DOCTYPE html><html>Not found", "is a web page"),
        ("lfs.pt", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        ("lfs.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        ("noise.safetensors", b"\xff" * 99, "no readable safetensors"),
        ("zeros.pt", bytes(20_000), "is a tar archive or damaged"),
    ],
)
def test_what_is_no_checkpoint(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ValueError, match=said) as error:
        read_tensors(tmp_path / name)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize("name", ["cut.pt", "cut.safetensors", "cut.pth"])
@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_truncated_files(state, tmp_path, name, kept):
    file = tmp_path / name
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=file.suffix == ".pt")
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])

    with pytest.raises(ValueError, match=r"incomplete|damaged") as error:
        read_tensors(file)
    assert "\n" not in str(error.value)


def test_missing_files_folders_and_lists(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pt")

    with pytest.raises(ValueError, match="does not exist"):
        read_tensors(tmp_path / "missing.pt")
    with pytest.raises(ValueError, match="is a folder"):
        read_tensors(tmp_path)
    with pytest.raises(ValueError, match="no tensors by name"):
        read_tensors(tmp_path / "list.pt")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_zip_files(state, tmp_path, method):
    torch.save(state, tmp_path / "a.pt")
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.write(tmp_path / "a.pt", "A.PT")
    assert_same(read_tensors(packed), state)
    content = bytearray(packed.read_bytes())
    content[60:160] = bytes(range(100))
    packed.write_bytes(content)

    with pytest.raises(ValueError, match=r"a\.zip' is damaged or no checkpoint \(.*\)\.$"):
        read_tensors(packed)


def test_a_damaged_directory_of_an_archive(state, tmp_path):
    torch.save(state, tmp_path / "a.pt")
    content = bytearray((tmp_path / "a.pt").read_bytes())
    content[content.rfind(b"PK\x01\x02")] = 0
    (tmp_path / "a.pt").write_bytes(content)

    assert not is_torchscript(tmp_path / "a.pt")
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        read_tensors(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(lambda: torch.eye(3).to_sparse(), id="sparse"),
        pytest.param(lambda: torch.empty(3, device="meta"), id="meta"),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_tensors_without_plain_values_are_refused(tmp_path, tensor):
    torch.save({"a": torch.zeros(1), "proj": tensor()}, tmp_path / "a.pt")

    with pytest.raises(ValueError, match="holds proj without plain values"):
        read_tensors(tmp_path / "a.pt")


def test_a_few_numbers_that_are_repeated_endlessly_are_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"weight": torch.ones(1).expand(1 << 40), "bias": torch.ones(3)}, path)
    with pytest.raises(ValueError, match=r"tensors of 4398.0 GB, which repeat its numbers"):
        read_tensors(path)
    torch.save({"weight": torch.ones(1).expand(1000)}, path)
    assert read_tensors(path)["weight"].shape == (1000,)


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_files, "HARMLESS_SIZE", 1_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("epoch_1.pt", bytes(3_000_000))

    with pytest.raises(ValueError, match=r"would unpack from 0\.0 MB to 3\.0 MB"):
        read_tensors(tmp_path / "bomb.zip")


def test_small_weights_may_compress_as_they_like(tmp_path):
    torch.save({"weight": torch.zeros(1000, 1000)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "zeros.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a.pt", "a.pt")

    assert read_tensors(tmp_path / "zeros.zip")["weight"].shape == (1000, 1000)


def test_a_zip_of_several_or_of_a_zip(state, tmp_path):
    torch.save(state, tmp_path / "a.pt")
    several, nested = tmp_path / "several.zip", tmp_path / "nested.zip"
    with zipfile.ZipFile(several, "w") as archive:
        archive.write(tmp_path / "a.pt", "a.pt")
        archive.write(tmp_path / "a.pt", "b.pt")
    with zipfile.ZipFile(nested, "w") as archive:
        archive.write(several, "inner.pt")

    with pytest.raises(ValueError, match=r"holds 2: unpack it .* a\.pt, b\.pt"):
        read_tensors(several)
    with pytest.raises(ValueError, match="archive within an archive"):
        read_tensors(nested)
