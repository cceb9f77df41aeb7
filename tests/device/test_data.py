"""Data sets and the loader: what a batch holds, its order, where it goes; the MNIST reader; errors."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import needle as ndl
from needle.data import DataLoader, Dataset, MNISTDataset, NDArrayDataset, TensorDataset

X = np.arange(30, dtype=np.float32).reshape(10, 3)
Y = np.arange(10, dtype=np.int32) % 4


class Squares(Dataset):
    """Item i is (i * i, [i, i + 1])."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> tuple[float, list[int]]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.apply_transforms(float(index * index)), [index, index + 1]


def rows(loader: DataLoader) -> list[int]:
    """The first column of every batch, in order."""
    return [row for batch in loader for row in batch[0].numpy().reshape(batch[0].shape[0], -1)[:, 0].tolist()]


def test_batches_are_tensors_on_the_default_device(device):
    loader = DataLoader(TensorDataset(X, Y), batch_size=4)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert [x.shape for x, _ in batches] == [(4, 3), (4, 3), (2, 3)]
    for x, y in batches:
        assert x.device is y.device is device
        assert (x.dtype, y.dtype) == (np.float32, np.int32)
        assert not x.requires_grad and not y.requires_grad
    np.testing.assert_array_equal(np.concatenate([x.numpy() for x, _ in batches]), X)
    np.testing.assert_array_equal(np.concatenate([y.numpy() for _, y in batches]), Y)


def test_batches_go_to_the_device_named(device):
    ((x, y),) = DataLoader(TensorDataset(X, ndl.asarray(Y)), batch_size=10, device="numpy")
    assert x.device.name == y.device.name == "numpy"
    np.testing.assert_array_equal(y.numpy(), Y)


def test_tensors_are_batched_where_they_are(device):
    dataset = TensorDataset(ndl.Tensor(X), ndl.asarray(Y))
    batches = list(DataLoader(dataset, batch_size=4, shuffle=True, seed=3))
    x, y = (np.concatenate([batch[i].numpy() for batch in batches]) for i in (0, 1))
    order = (x[:, 0] / 3).astype(int)
    assert sorted(order) == list(range(10)) and list(order) != list(range(10))
    np.testing.assert_array_equal(x, X[order])
    np.testing.assert_array_equal(y, Y[order])
    assert not any(t.requires_grad for batch in batches for t in batch)
    assert batches[0][1].dtype == np.int32


def test_drop_last(device):
    loader = DataLoader(TensorDataset(X), batch_size=4, drop_last=True)
    assert len(loader) == 2 and [x.shape for (x,) in loader] == [(4, 3), (4, 3)]
    assert len(DataLoader(TensorDataset(X), batch_size=11, drop_last=True)) == 0
    assert list(DataLoader(TensorDataset(X), batch_size=11, drop_last=True)) == []
    assert len(DataLoader(TensorDataset(X), batch_size=5)) == 2


def test_the_order_depends_on_seed_and_epoch_alone(device):
    loader, again, other = (DataLoader(TensorDataset(X), 4, shuffle=True, seed=seed) for seed in (1, 1, 2))
    first, second = rows(loader), rows(loader)
    np.random.default_rng().random()
    assert first != second and [rows(again), rows(again)] == [first, second]
    assert rows(other) not in (first, second)
    assert sorted(first) == sorted(second) == X[:, 0].tolist()
    loader.epoch = 0
    assert rows(loader) == first
    unseeded = [DataLoader(TensorDataset(X), 4, shuffle=True) for _ in range(4)]
    assert len({tuple(rows(one)) for one in unseeded}) > 1


def test_without_a_seed_the_order_comes_from_needles_generator(device):
    def orders(loader: DataLoader) -> list[list[float]]:
        ndl.manual_seed(5)
        return [rows(loader) for _ in range(3)]

    loader = DataLoader(TensorDataset(X), 4, shuffle=True)
    first = orders(loader)
    assert orders(loader) == orders(DataLoader(TensorDataset(X), 4, shuffle=True)) == first
    assert len({tuple(order) for order in first}) > 1
    ndl.manual_seed(5)
    drawn = ndl.rand(4).numpy()
    ndl.manual_seed(5)
    list(DataLoader(TensorDataset(X), 4))  # in order: nothing is drawn
    np.testing.assert_array_equal(ndl.rand(4).numpy(), drawn)


def test_two_iterations_at_once(device):
    loader = DataLoader(TensorDataset(X), batch_size=1, shuffle=True, seed=0)
    pairs = list(zip(loader, loader, strict=True))
    assert sorted(a[0].numpy()[0, 0] for a, _ in pairs) == sorted(b[0].numpy()[0, 0] for _, b in pairs)


def test_items_are_stacked(device):
    batches = list(DataLoader(Squares(), batch_size=3))
    assert [tuple(t.shape for t in batch) for batch in batches] == [((3,), (3, 2)), ((3,), (3, 2)), ((1,), (1, 2))]
    assert [t.dtype for t in batches[0]] == [np.float32, np.int64]
    assert batches[1][0].tolist() == [9.0, 16.0, 25.0]
    assert batches[1][1].tolist() == [[3, 4], [4, 5], [5, 6]]


class Point(NamedTuple):
    x: float
    label: int


def test_items_may_be_dicts_nested_and_named(device):
    items = [{"image": np.full(2, i, np.float32), "meta": {"id": i, "name": f"n{i}"}} for i in range(3)]
    first, last = DataLoader(items, batch_size=2)
    assert first["image"].shape == (2, 2) and first["image"].device is device
    assert first["meta"]["id"].numpy().tolist() == [0, 1] and first["meta"]["name"] == ["n0", "n1"]
    assert last["meta"]["id"].shape == (1,)
    (batch,) = DataLoader([Point(0.5, 1), Point(1.5, 2)], batch_size=2)
    assert isinstance(batch, Point) and batch.x.numpy().tolist() == [0.5, 1.5] and batch.label.dtype == ndl.int64
    ((pair, number),) = DataLoader([((1, 2.0), 3)], batch_size=1)
    assert pair[1].dtype == ndl.float32 and number.numpy().tolist() == [3]
    with pytest.raises(ValueError, match=r"dicts of different keys; the first has \['a'\]"):
        next(iter(DataLoader([{"a": 1}, {"b": 1}], batch_size=2)))


def test_a_data_set_need_not_call_the_constructor_of_its_base(device):
    class Plain(Dataset):
        def __init__(self) -> None:
            self.rows = [1.0, 2.0]

        def __getitem__(self, index: int) -> float:
            return self.apply_transforms(self.rows[index])

        def __len__(self) -> int:
            return 2

    ((batch,),) = DataLoader(Plain(), batch_size=2)
    assert batch.numpy().tolist() == [1, 2]


def test_plain_sequences_are_data_sets(device):
    ((x,),) = DataLoader([1.0, 2.0, 3.0], batch_size=3)
    assert x.dtype == np.float32 and x.tolist() == [1.0, 2.0, 3.0]
    pairs = [(np.full(2, i, np.float32), ndl.asarray(i), np.uint8(i)) for i in range(3)]
    x, y, z = next(iter(DataLoader(pairs, batch_size=2)))
    assert x.tolist() == [[0.0, 0.0], [1.0, 1.0]] and y.tolist() == z.tolist() == [0, 1]
    assert (y.dtype, z.dtype) == (np.int64, np.uint8)


def test_transforms_apply_in_order(device):
    dataset = Squares(transforms=[lambda x: x + 1, lambda x: x * 2])
    assert dataset[3][0] == 20.0
    assert next(iter(DataLoader(dataset, batch_size=2)))[0].tolist() == [2.0, 4.0]


def test_mixed_numbers_are_stacked_as_needle_promotes(device):
    ((batch,),) = DataLoader([0.5, 1, 2], batch_size=3)
    assert batch.dtype == np.float32 and batch.tolist() == [0.5, 1, 2]


def test_collate_makes_the_batch(device):
    def pad(items: list[list[int]]) -> np.ndarray:
        return np.array([item + [0] * (3 - len(item)) for item in items])

    (x,), (z,) = DataLoader([[1], [1, 2], [1, 2, 3]], batch_size=2, collate=pad)
    assert x.tolist() == [[1, 0, 0], [1, 2, 0]] and z.tolist() == [[1, 2, 3]]


def test_an_empty_data_set_has_no_batches(device):
    assert list(DataLoader(TensorDataset(X[:0]), batch_size=2, shuffle=True)) == []


def test_tensor_dataset_rows(device):
    dataset = TensorDataset(X, [0.5] * 10)
    assert NDArrayDataset is TensorDataset and len(dataset) == 10
    x, half = dataset[2]
    np.testing.assert_array_equal(x, X[2])
    assert half == 0.5 and dataset.arrays[1].dtype == np.float32
    with pytest.raises(IndexError):
        dataset[10]


def test_bad_data_sets(device):
    for arrays, message in [
        ((), "at least one array"),
        ((X, Y[:9]), "different lengths: 10, 9"),
        ((X, 3), "array 1 of a TensorDataset is 0-d"),
    ]:
        with pytest.raises(ValueError, match=message):
            TensorDataset(*arrays)
    with pytest.raises(NotImplementedError, match="Dataset defines no __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="Dataset defines no __len__"):
        len(Dataset())


def test_bad_loaders(device):
    with pytest.raises(TypeError, match="generator has not both"):
        DataLoader(i for i in range(3))
    with pytest.raises(ValueError, match="batch_size=0 must be at least 1"):
        DataLoader([1], batch_size=0)
    with pytest.raises(TypeError, match=r"batch_size=2\.5 must be an int"):
        DataLoader([1], batch_size=2.5)
    with pytest.raises(ValueError, match="seed=-1 must be at least 0"):
        DataLoader([1], seed=-1)
    with pytest.raises(ndl.DeviceError, match="there is no device 'nowhere'"):
        list(DataLoader([1], device="nowhere"))
    with pytest.raises(ValueError, match=r"different shapes, \(1,\) and \(2,\), cannot be stacked.*`collate`"):
        list(DataLoader([[1], [1, 2]], batch_size=2))
    with pytest.raises(ValueError, match="tuples of different lengths"):
        list(DataLoader([(1,), (1, 2)], batch_size=2))


# -- MNIST ------------------------------------------------------------------------------------------


def idx(array: np.ndarray, magic: bytes | None = None) -> bytes:
    return (magic or bytes([0, 0, 8, array.ndim])) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    images, labels = tmp_path / "images.gz", tmp_path / "labels.gz"
    images.write_bytes(gzip.compress(idx(IMAGES), mtime=0))
    labels.write_bytes(gzip.compress(idx(LABELS), mtime=0))
    return images, labels


def test_mnist(device, files):
    dataset = MNISTDataset(*files)
    image, label = dataset[2]
    assert len(dataset) == 5 and label == 4 and image.dtype == np.float32
    np.testing.assert_array_equal(image, IMAGES[2, :, :, None].astype(np.float32) / np.float32(255))
    x, y = next(iter(DataLoader(dataset, batch_size=3)))
    assert x.shape == (3, 28, 28, 1) and (x.dtype, y.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(x.numpy()[2], image)
    assert y.tolist() == [3, 1, 4]


def test_mnist_with_transforms(device, files):
    x, y = next(iter(DataLoader(MNISTDataset(*files, transforms=[np.ravel, np.flip]), batch_size=5)))
    np.testing.assert_array_equal(x.numpy(), IMAGES.reshape(5, -1)[:, ::-1] / np.float32(255))
    assert y.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(idx(IMAGES), mtime=0)[:-40], "is cut short"),
        (gzip.compress(idx(IMAGES)[:-1], mtime=0), "is cut short or damaged"),
        (gzip.compress(idx(IMAGES) + b"x", mtime=0), "is cut short or damaged"),
        (gzip.compress(idx(IMAGES)[:9], mtime=0), "is cut short or damaged"),
        (gzip.compress(idx(LABELS), mtime=0), "holds no images: it starts with 00000801 instead of 00000803"),
        (gzip.compress(b"", mtime=0), "holds no images"),
        (idx(IMAGES), "is not a gzip file"),
        (b"", "holds no images"),
        (gzip.compress(idx(IMAGES[:4]), mtime=0), "has 4 images, but .* 5 labels"),
    ],
)
def test_damaged_mnist_files(files, content: bytes, message: str):
    files[0].write_bytes(content)
    with pytest.raises(ValueError, match=rf"images\.gz {message}"):
        MNISTDataset(*files)


def test_missing_mnist_files(files):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.gz"):
        MNISTDataset("nowhere.gz", files[1])


def real_files() -> list[Path]:
    folder = Path(os.environ.get("NEEDLE_MNIST") or Path(__file__).parents[3] / "shared" / "data" / "mnist")
    return [folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz"]


@pytest.mark.skipif(
    not all(p.is_file() for p in real_files()), reason="NEEDLE_MNIST names no folder with the t10k files"
)
def test_the_real_mnist_files(device):
    dataset: Any = MNISTDataset(*real_files())
    assert len(dataset) == 10_000
    assert [dataset[i][1] for i in range(8)] == [7, 2, 1, 0, 4, 1, 4, 9]
    assert np.bincount(dataset.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    means = [x.mean().item() for x, _ in DataLoader(dataset, batch_size=2000)]
    assert np.mean(means) == pytest.approx(0.1325, abs=1e-4)


def test_batches_ahead_are_the_same_batches() -> None:
    """With `prefetch` two more items have been read when a batch is handed out; order and number stay."""
    read: list[int] = []

    class Noted:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, i: int) -> np.ndarray:
            read.append(i)
            return np.array([i], np.float32)

    with ndl.device("numpy"):
        loader = DataLoader(Noted(), prefetch=2)
        seen = []
        for (batch,) in loader:
            assert len(read) == min(5, len(seen) + 3)
            seen.append(int(batch.item()))
        assert seen == list(range(5))
        assert len(list(DataLoader(Noted(), prefetch=9))) == 5
    with pytest.raises(ValueError, match="prefetch"):
        DataLoader(Noted(), prefetch=-1)
