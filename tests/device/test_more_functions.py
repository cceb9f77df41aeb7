"""Functions under NumPy's and PyTorch's names that are made of others: places, joins, windows, sets, samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl

M = np.arange(12, dtype=np.float32).reshape(3, 4)
V = np.array([3.0, 1.0, 2.0, 2.0, 5.0, 4.0], np.float32)
I = np.array([5, 2, 7, 2], np.int64)  # noqa: E741
AT = np.array([-1.0, 0.0, 0.5, 2.0, 3.5, 9.0], np.float32)
ODD = np.array([0.0, 1.0, 3.0, 4.0, 8.0, 9.0], np.float32)

#: Each function of a library, `np` or `ndl`, and of what makes arrays of NumPy's arrays.
SAME: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "append": lambda xp, a: [xp.append(a(V), a(V)), xp.append(a(M), a(M[:1]), axis=0), xp.append(a(V), 7)],
    "insert": lambda xp, a: [
        xp.insert(a(V), 0, 9), xp.insert(a(V), -1, 9), xp.insert(a(M), 1, a(M[0]), axis=0),
        xp.insert(a(M), 4, 5, axis=1), xp.insert(a(V), [1, 3], a(V[:2])), xp.insert(a(M), 2, a(M[:2]), axis=0),
    ],
    "delete": lambda xp, a: [xp.delete(a(V), 1), xp.delete(a(M), [0, -1], axis=1), xp.delete(a(M), 3)],
    "column_stack": lambda xp, a: xp.column_stack([a(V[:3]), a(M)]),
    "atleast_3d": lambda xp, a: [xp.atleast_3d(a(V)), xp.atleast_3d(a(M)), xp.atleast_3d(a(M[None]))],
    "splits": lambda xp, a: [
        *xp.hsplit(a(M), 2), *xp.vsplit(a(M), 3), *xp.dsplit(a(M[None]), [1]), *xp.hsplit(a(V), 3)
    ],
    "lexsort": lambda xp, a: xp.lexsort([a(np.arange(4)), a(I)]),
    "argwhere": lambda xp, a: [xp.argwhere(a(M) % 3 == 0), xp.argwhere(a(M) > 99), xp.flatnonzero(a(M) > 8)],
    "indices": lambda xp, a: [*xp.tril_indices(3, 1, 4), *xp.triu_indices(3), *xp.diag_indices(2)],
    "unravel": lambda xp, a: [*xp.unravel_index(a(I), (3, 4)), *xp.unravel_index(7, (2, 2, 2))],
    "ravel_multi_index": lambda xp, a: xp.ravel_multi_index((a(np.array([0, 2])), a(np.array([1, 3]))), (3, 4)),
    "sets": lambda xp, a: [xp.union1d(a(I), a(I + 2)), xp.intersect1d(a(I), a(I + 2)), xp.setdiff1d(a(I), a(I + 3))],
    "pad": lambda xp, a: [
        xp.pad(a(M), 1), xp.pad(a(M), (2, 1), constant_values=7), xp.pad(a(M), ((1, 0), (0, 2)), mode="edge"),
        xp.pad(a(V), 2, mode="reflect"), xp.pad(a(V), (3, 2), mode="symmetric"),
        xp.pad(a(M), ((0, 1), (2, 1)), mode="wrap"),
    ],
    "convolve": lambda xp, a: [
        xp.convolve(a(V), a(AT[:3]), mode=mode) for mode in ("full", "same", "valid")
    ] + [xp.convolve(a(AT[:4]), a(V), "same"), xp.correlate(a(V), a(AT[:2])), xp.convolve(a(V), a(AT[:2]), "same")],
    "interp": lambda xp, a: [
        xp.interp(a(AT), a(ODD), a(V)), xp.interp(a(AT), a(ODD), a(V), left=-1, right=-2),
        xp.interp(a(AT), a(ODD[:1]), a(V[:1])),
    ],
    "gradient": lambda xp, a: [
        xp.gradient(a(V)), xp.gradient(a(V), 0.5), xp.gradient(a(V), a(ODD)), *xp.gradient(a(M)),
        xp.gradient(a(M), axis=1),
    ],
    "trapezoid": lambda xp, a: [xp.trapezoid(a(M)), xp.trapezoid(a(M), dx=2.0, axis=0), xp.trapezoid(a(V), a(ODD))],
    "percentile": lambda xp, a: [xp.percentile(a(V), 30), xp.percentile(a(M), [0, 50, 100], axis=1)],
    "average": lambda xp, a: [
        xp.average(a(M)), xp.average(a(M), weights=a(M + 1)), xp.average(a(M), axis=1, weights=a(V[:4]))
    ],
    "ptp": lambda xp, a: [xp.ptp(a(M)), xp.ptp(a(M), axis=0)],
    "digitize": lambda xp, a: [xp.digitize(a(V), a(AT[1:])), xp.digitize(a(V), a(AT[1:]), right=True)],
    "vander": lambda xp, a: [xp.vander(a(V)), xp.vander(a(V), 3, increasing=True)],
    "cov": lambda xp, a: [xp.cov(a(M * M), rowvar=False), xp.corrcoef(a(M * M), rowvar=False)],
    "concatenate": lambda xp, a: [xp.concatenate([[0.5], a(V), np.ones(2, np.float32)]), xp.stack([a(V[:2]), [1, 2]])],
    "identity": lambda xp, a: [xp.identity(3), xp.copy(a(V))],
    "scalars": lambda xp, a: [xp.sqrt(2.0), xp.maximum(1, 2), xp.exp(a(V)[0].item())],
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_the_function_is_numpys(name: str, device: ndl.Device) -> None:
    ours, theirs = SAME[name](ndl, ndl.asarray), SAME[name](np, np.asarray)
    if not isinstance(theirs, list):
        ours, theirs = [ours], [theirs]
    for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        found = mine.numpy()
        assert found.shape == np.shape(other) and found.dtype.kind == np.asarray(other).dtype.kind, (name, i)
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-6, err_msg=f"{name} {i}")


def test_gradients(device: ndl.Device) -> None:
    x = ndl.Tensor(V)
    x.unfold(0, 3, 2).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1, 1, 2, 1, 1, 0]
    a, b = ndl.Tensor(M), ndl.Tensor(M[:2] + 0.5)
    assert ndl.gradcheck(ndl.cdist, [a, b])
    ndl.cdist(a, a).sum().backward()  # the distances of 0 have no slope
    assert a.grad is not None and ndl.all(ndl.isfinite(a.grad))
    for p in (1, 3, np.inf):
        wanted = np.linalg.norm(M[:, None] - M[None, :2] - 0.5, ord=p, axis=-1)
        np.testing.assert_allclose(ndl.cdist(a, b, p).numpy(), wanted, rtol=1e-5)


def test_adding_at_positions(device: ndl.Device) -> None:
    rows, columns = np.array([0, 2, 0, -1]), np.array([1, 3, 1, 3])
    host, x, y, z = M.copy(), ndl.asarray(M), ndl.asarray(M), ndl.asarray(M)
    np.add.at(host, (rows, columns), np.float32(2))
    ndl.add.at(x, (rows, columns), 2)
    y.index_put_((ndl.asarray(rows), ndl.asarray(columns)), ndl.asarray(2.0), accumulate=True)
    assert x.tolist() == y.tolist() == host.tolist()
    host, value = M.copy(), np.arange(8, dtype=np.float32).reshape(2, 4)
    np.add.at(host, np.array([1, 1]), value)
    assert ndl.index_put(z, (ndl.asarray([1, 1]),), ndl.asarray(value), accumulate=True).tolist() == host.tolist()
    assert z.tolist() == M.tolist()
    z.index_put_((ndl.asarray([0]), ndl.asarray([1])), 5.0)
    assert z[0, 1].item() == 5 and ndl.index_put(z, [ndl.asarray([2])], 0.0)[2].tolist() == [0] * 4
    ndl.add.at(z, z > 8, 100)
    assert z[2].tolist() == [8, 109, 110, 111]
    ndl.fill_diagonal(z, -1)
    assert z.diagonal().tolist() == [-1, -1, -1]
    with pytest.raises(IndexError, match="3 is out of"):
        ndl.index_put(z, (ndl.asarray([3]),), 1.0, accumulate=True)
    with pytest.raises(TypeError, match="a mask is not accumulated at"):
        ndl.index_put(z, (z > 1,), 1.0, accumulate=True)


def test_results_with_names_and_into_given_tensors(device: ndl.Device) -> None:
    x = ndl.asarray(V)
    assert x.topk(2).values.tolist() == [5, 4] and x.kthvalue(1).indices.item() == 1
    assert ndl.max(x, ndl.asarray(V[::-1].copy())).tolist() == np.maximum(V, V[::-1]).tolist()
    assert ndl.min(x, ndl.asarray(2.0)).tolist() == np.minimum(V, 2).tolist()
    out = ndl.zeros(6)
    assert ndl.add(x, 1, out=out) is out and ndl.clip(out, 2, 4, out=out) is out
    assert out.tolist() == np.clip(V + 1, 2, 4).tolist()
    labels = ndl.nn.functional.one_hot(ndl.asarray([1, 0, 2]))
    assert labels.dtype == ndl.int64 and labels.tolist() == np.eye(3, dtype=int)[[1, 0, 2]].tolist()
    assert (x / x.size).tolist() == (V / 6).tolist() and ndl.bucketize(x, [1.0, 3.0]).tolist() == [1, 0, 1, 1, 2, 2]
    assert ndl.block_diag(x[:2], ndl.ones(2, 1)).tolist() == [[3, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert ndl.array([[1, 2], [3, 4]]).dtype == ndl.int64 and ndl.array(V).dtype == ndl.float32


def test_second_derivatives_under_pytorchs_name() -> None:
    from needle.autograd.functional import hessian

    assert hessian is ndl.hessian is ndl.autograd.functional.hessian
    assert (ndl.float, ndl.double, ndl.half, ndl.long, ndl.int, ndl.short) == (
        np.float32, np.float64, np.float16, np.int64, np.int32, np.int16,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: ndl.pad(x, 5, mode="reflect"), ValueError, "from 0 to 2 in mode='reflect'"),
        (lambda x: ndl.pad(x, (1, 2, 3)), ValueError, r"pad_width=\(1, 2, 3\) does not fit"),
        (lambda x: ndl.pad(x, 1, mode="mean"), ValueError, "mode='mean' is not known"),
        (lambda x: x.unfold(1, 5, 1), ValueError, "windows of size=5"),
        (lambda x: ndl.convolve(x, x), ValueError, "must be vectors"),
        (lambda x: ndl.interp(x, x, x), ValueError, "vectors of one length"),
        (lambda x: ndl.gradient(x, 1, 2, 3), ValueError, "3 spacings were given for 2 axes"),
        (lambda x: ndl.insert(x, 9, 1, axis=0), IndexError, "index=9 is out of bounds for axis 0"),
        (lambda x: ndl.fill_diagonal(x[0], 1), ValueError, "a matrix is expected"),
        (lambda x: ndl.cdist(x, x[:, :2]), ValueError, "rows of one length"),
        (lambda x: ndl.hsplit(x, 3), ValueError, "axis 1 of size 4 cannot be cut into sections=3"),
        (lambda x: ndl.unravel_index(3, (0, 2)), ValueError, "has no elements"),
        (lambda x: ndl.ravel_multi_index((x, x), (3,)), ValueError, "2 arrays do not index"),
        (lambda x: ndl.vander(x), ValueError, "one axis is expected"),
    ],
)
def test_refusals(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(ndl.asarray(M, device="numpy"))
