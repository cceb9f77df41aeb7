"""Data sets made of others, samplers, streams, and readers of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import needle as ndl
from needle.data import (
    BatchSampler,
    CIFARDataset,
    ConcatDataset,
    DataLoader,
    ImageFolder,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    TransformedDataset,
    WeightedRandomSampler,
    random_split,
    transforms,
)

TEN = TensorDataset(np.arange(10))


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
    """Nothing here depends on a device."""
    with ndl.device("numpy"):
        yield


def taken(loader: DataLoader) -> list[list[int]]:
    return [batch[0].numpy().tolist() for batch in loader]


def test_subsets_and_concatenation() -> None:
    subset = Subset(TEN, [7, 2, -1])
    assert [int(x) for (x,) in subset] == [7, 2, 9]
    both = ConcatDataset([subset, TEN])
    assert len(both) == 13 and int(both[3][0]) == 0 and int(both[-1][0]) == 9
    assert taken(DataLoader(subset, 2)) == [[7, 2], [9]]
    assert taken(DataLoader(both, 4, drop_last=True)) == [[7, 2, 9, 0], [1, 2, 3, 4], [5, 6, 7, 8]]
    with pytest.raises(IndexError, match="index 10 of a Subset is out of range: the data set has 10 items"):
        Subset(TEN, [0, 10])
    with pytest.raises(IndexError, match="index 13 is out of range"):
        both[13]
    with pytest.raises(ValueError, match="at least one data set"):
        ConcatDataset([])


@pytest.mark.parametrize(("lengths", "sizes"), [([7, 3], [7, 3]), ([0.5, 0.25, 0.25], [6, 2, 2]), ([10], [10])])
def test_random_split(lengths: list[float], sizes: list[int]) -> None:
    parts = random_split(TEN, lengths, seed=1)
    assert [len(part) for part in parts] == sizes
    assert sorted(int(x) for part in parts for (x,) in part) == list(range(10))
    again = random_split(TEN, lengths, seed=1)
    assert [p.indices.tolist() for p in parts] == [p.indices.tolist() for p in again]
    with pytest.raises(ValueError, match="must add up to the 10 items"):
        random_split(TEN, [4, 4])


def test_samplers() -> None:
    assert list(SequentialSampler(TEN)) == list(range(10))
    sampler = RandomSampler(TEN, seed=3)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(10)) and first != second
    assert first == list(RandomSampler(TEN, seed=3))
    assert len(list(RandomSampler(TEN, num_samples=25, seed=0))) == 25
    assert set(SubsetRandomSampler([4, 8, 6], seed=0)) == {4, 6, 8}
    counts = Counter(WeightedRandomSampler([0, 3, 1], 4000, seed=0))
    assert counts[0] == 0 and 2.7 < counts[1] / counts[2] < 3.3
    assert sorted(WeightedRandomSampler([1, 1, 0, 2], 3, replacement=False, seed=0)) == [0, 1, 3]
    assert list(BatchSampler(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2)) == 3
    with pytest.raises(ValueError, match="num_samples=3 cannot be drawn: 2 items"):
        WeightedRandomSampler([1, 0, 1], 3, replacement=False)
    with pytest.raises(ValueError, match="finite and not negative"):
        WeightedRandomSampler([1, -1], 3)


def test_a_loader_takes_samplers() -> None:
    assert taken(DataLoader(TEN, 2, sampler=[5, 1, 3])) == [[5, 1], [3]]
    loader = DataLoader(TEN, batch_sampler=BatchSampler([9, 8, 7], 2))
    assert len(loader) == 2 and taken(loader) == [[9, 8], [7]]
    assert taken(DataLoader([1, 2, 3], 2, collate_fn=lambda items: np.array([sum(items)]))) == [[3], [3]]
    with pytest.raises(ValueError, match="shuffle and sampler exclude each other"):
        DataLoader(TEN, shuffle=True, sampler=[1])
    with pytest.raises(ValueError, match="leave out batch_size"):
        DataLoader(TEN, 4, batch_sampler=[[1]])


class Squares(IterableDataset):
    def __iter__(self) -> Iterator[tuple[int, float]]:
        return iter([(i, float(i * i)) for i in range(5)])


def test_a_loader_takes_a_stream() -> None:
    batches = [(x.numpy().tolist(), y.numpy().tolist()) for x, y in DataLoader(Squares(), 2)]
    assert batches == [([0, 1], [0, 1]), ([2, 3], [4, 9]), ([4], [16])]
    assert len(list(DataLoader(Squares(), 2, drop_last=True))) == 2
    with pytest.raises(ValueError, match="dataset and shuffle exclude each other"):
        DataLoader(Squares(), shuffle=True)


def test_cifar_files(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (4, 3, 32, 32), np.uint8), np.array([3, 1, 0, 9], np.uint8)
    for path, chosen in ((tmp_path / "a.bin", slice(0, 3)), (tmp_path / "b.bin", slice(3, 4))):
        path.write_bytes(
            b"".join(
                bytes([label]) + image.tobytes() for label, image in zip(labels[chosen], images[chosen], strict=True)
            )
        )
    dataset = CIFARDataset([tmp_path / "a.bin", tmp_path / "b.bin"])
    x, y = next(iter(DataLoader(dataset, 4)))
    np.testing.assert_array_equal(x.numpy(), images.astype(np.float32) / np.float32(255))
    assert y.numpy().tolist() == [3, 1, 0, 9] and dataset[1][1] == 1
    flipped = CIFARDataset(tmp_path / "b.bin", transform=lambda image: image[..., ::-1])
    np.testing.assert_array_equal(flipped[0][0], dataset[3][0][..., ::-1])
    with pytest.raises(ValueError, match=r"a\.bin is no CIFAR file with 2 bytes of labels"):
        CIFARDataset(tmp_path / "a.bin", label_bytes=2)


def test_folders_of_images(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    for number, name in enumerate(("cat", "ape")):
        (tmp_path / name).mkdir()
        pixels = np.full((4, 6 + number, 3), 100 * number, np.uint8)
        image_module.fromarray(pixels).save(tmp_path / name / "one.png")
    dataset = ImageFolder(tmp_path, size=(8, 5))
    assert dataset.classes == ["ape", "cat"] and len(dataset) == 2
    x, y = next(iter(DataLoader(dataset, 2)))
    assert x.shape == (2, 3, 8, 5) and y.numpy().tolist() == [0, 1]
    np.testing.assert_allclose(x.numpy()[:, 0, 0, 0], [100 / 255, 0], rtol=1e-6)
    (tmp_path / "cat" / "two.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"two\.png is not a picture"):
        ImageFolder(tmp_path)[2]
    with pytest.raises(ValueError, match="holds no folders with pictures"):
        ImageFolder(tmp_path / "cat")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        ImageFolder(tmp_path / "dog")


def test_transforms() -> None:
    image = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    chain = transforms.Compose([transforms.Normalize([1, 2], 2), transforms.RandomHorizontalFlip(0.999, seed=0)])
    wanted = ((image - np.array([1, 2]).reshape(2, 1, 1)) / 2)[..., ::-1]
    np.testing.assert_array_equal(TransformedDataset([(image, 5)], chain)[0][0], wanted)
    crop = transforms.RandomCrop(3, padding=1, seed=0)(image)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    assert any(np.array_equal(crop, padded[:, i : i + 3, j : j + 3]) for i in range(3) for j in range(4))
    with pytest.raises(ValueError, match="size=9 is larger than the padded image"):
        transforms.RandomCrop(9)(image)
    with pytest.raises(ValueError, match="must not be 0"):
        transforms.Normalize(0.5, 0)
