"""Calls of scikit-learn and SciPy on tensors: `python -m support.array_libraries LIBRARY DEVICE [core]`.

Each is made on tensors and on NumPy arrays. The program prints a line for each call whose results differ or that fails,
and last the number of calls. It runs in an interpreter of its own: SciPy reads SCIPY_ARRAY_API when it is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Convert = Callable[[Any], Any]
Call = Callable[[Convert], Any]

RNG = np.random.default_rng(0)
LABELS = RNG.permutation(np.repeat(np.arange(3), 20))
POINTS = np.array([[0.0, 0, 0, 1], [4, 4, 1, 0], [-4, 4, 0, 2]])[LABELS] + RNG.normal(0, 1, (60, 4))
BINARY = (LABELS > 0).astype(np.int64)
GUESSES = np.where(np.arange(60) % 7 == 0, (LABELS + 1) % 3, LABELS)
SCORES = RNG.dirichlet(np.ones(3), 60)
TARGET = POINTS @ np.array([1.0, -2, 3, 0.5]) + RNG.normal(0, 0.1, 60)
POSITIVE = np.abs(TARGET) + 0.1
UNIT = RNG.random(60) * 0.98 + 0.01
IMAGE = RNG.random((12, 14))

ESTIMATORS: dict[str, tuple[str, dict[str, Any], str, Any]] = {
    "PCA": ("decomposition", {"n_components": 2, "svd_solver": "full"}, "transform", None),
    "PCA covariance_eigh": ("decomposition", {"n_components": 2, "svd_solver": "covariance_eigh"}, "transform", None),
    "Ridge": ("linear_model", {"solver": "svd"}, "predict", TARGET),
    "RidgeClassifier": ("linear_model", {"solver": "svd"}, "predict", BINARY),
    "LogisticRegression": ("linear_model", {"solver": "lbfgs"}, "predict_proba", LABELS),
    "LinearDiscriminantAnalysis": ("discriminant_analysis", {}, "predict_proba", LABELS),
    "GaussianNB": ("naive_bayes", {}, "predict_proba", LABELS),
    "GaussianMixture": ("mixture", {"n_components": 3, "random_state": 0, "init_params": "random_from_data"},
                        "predict_proba", None),
    "StandardScaler": ("preprocessing", {}, "transform", None),
    "MinMaxScaler": ("preprocessing", {}, "transform", None),
    "MaxAbsScaler": ("preprocessing", {}, "transform", None),
    "Normalizer": ("preprocessing", {}, "transform", None),
    "PolynomialFeatures": ("preprocessing", {}, "transform", None),
}  # fmt: skip

#: Metrics by what they take: labels, binary labels, binary labels with scores, regressions, positive ones.
METRICS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "accuracy_score zero_one_loss hamming_loss confusion_matrix balanced_accuracy_score cohen_kappa_score "
    "multilabel_confusion_matrix": (LABELS, GUESSES, {}),
    "f1_score precision_score recall_score jaccard_score": (LABELS, GUESSES, {"average": "macro"}),
    "class_likelihood_ratios": (BINARY, BINARY[::-1].copy(), {}),
    "log_loss": (LABELS, SCORES, {}),
    "brier_score_loss roc_auc_score roc_curve precision_recall_curve det_curve average_precision_score":
        (BINARY, SCORES[:, 0].copy(), {}),
    "r2_score mean_squared_error mean_absolute_error root_mean_squared_error max_error median_absolute_error "
    "mean_absolute_percentage_error explained_variance_score mean_pinball_loss d2_absolute_error_score":
        (TARGET, TARGET + UNIT, {}),
    "mean_squared_log_error mean_poisson_deviance mean_gamma_deviance mean_tweedie_deviance d2_tweedie_score":
        (POSITIVE, POSITIVE + UNIT, {}),
}  # fmt: skip
PAIRWISE = (
    "euclidean_distances manhattan_distances cosine_similarity cosine_distances linear_kernel polynomial_kernel "
    "rbf_kernel sigmoid_kernel laplacian_kernel paired_euclidean_distances paired_cosine_distances"
)

#: Functions of SciPy by module and by what they take.
SCIPY: dict[tuple[str, str], tuple[Any, ...]] = {
    ("special", "ndtr log_ndtr erf erfc expit logit entr i0 i1 gammaln digamma j0 sinc ndtri"): (UNIT,),
    ("special", "rel_entr xlogy kl_div chdtr gammainc gammaincc"): (POSITIVE, UNIT),
    ("special", "logsumexp softmax log_softmax"): (POINTS, 1),
    ("stats", "skew kurtosis moment sem zscore variation gmean hmean circmean circstd kstat entropy tmean tvar"):
        (POSITIVE,),
    ("stats", "skewtest kurtosistest normaltest jarque_bera differential_entropy rankdata"): (POSITIVE,),
    ("stats", "ttest_ind ttest_rel pearsonr spearmanr bartlett f_oneway wilcoxon mannwhitneyu"): (TARGET, UNIT),
    ("stats", "combine_pvalues false_discovery_control"): (UNIT,),
    ("cluster.vq", "whiten"): (POINTS,),
    ("cluster.vq", "vq kmeans"): (POINTS, POINTS[[0, 30, 40]]),
    ("ndimage", "sobel laplace prewitt center_of_mass sum_labels"): (IMAGE,),
    ("ndimage", "gaussian_filter uniform_filter median_filter maximum_filter shift zoom"): (IMAGE, 3),
    ("ndimage", "correlate convolve"): (IMAGE, POINTS[:3, :3].copy()),
}  # fmt: skip

#: A few calls that stand for the others.
CORE = {
    "PCA", "Ridge", "GaussianNB", "LinearDiscriminantAnalysis", "accuracy_score", "r2_score", "euclidean_distances",
    "special.expit", "special.logsumexp", "stats.zscore", "stats.pearsonr", "cluster.vq.vq", "ndimage.gaussian_filter",
}  # fmt: skip


def of_scikit_learn() -> Iterator[tuple[str, Call]]:
    """The calls of scikit-learn, which must be made with `array_api_dispatch`."""
    for name, (module, parameters, method, target) in ESTIMATORS.items():
        kind = getattr(importlib.import_module(f"sklearn.{module}"), name.split()[0])

        def fitted(to: Convert, kind: Any = kind, p: Any = parameters, method: str = method, y: Any = target) -> Any:
            return getattr(kind(**p).fit(to(POINTS), *(() if y is None else (to(y),))), method)(to(POINTS))

        yield name, fitted
    metrics = importlib.import_module("sklearn.metrics")
    for names, (truth, guess, parameters) in METRICS.items():
        for name in names.split():
            f = getattr(metrics, name)
            yield name, lambda to, f=f, a=truth, b=guess, p=parameters: f(to(a), to(b), **p)
    for name in PAIRWISE.split():
        f = getattr(importlib.import_module("sklearn.metrics.pairwise"), name)
        yield name, lambda to, f=f: f(to(POINTS), to(POINTS[::-1].copy()))


def of_scipy() -> Iterator[tuple[str, Call]]:
    """The calls of SciPy."""
    for (module, names), operands in SCIPY.items():
        for name in names.split():
            f = getattr(importlib.import_module(f"scipy.{module}"), name)
            yield f"{module}.{name}", lambda to, f=f, o=operands: f(*(to(x) if hasattr(x, "shape") else x for x in o))


def parts(result: Any) -> list[np.ndarray]:
    """The numbers of a result, which may be a tuple or an object of a test, on the host."""
    if isinstance(result, (tuple, list)):
        return [part for item in result for part in parts(item)]
    if hasattr(result, "statistic"):
        return parts(result.statistic) + parts(result.pvalue)
    return [np.asarray(result.numpy() if hasattr(result, "numpy") else result, np.float64)]


def failure(call: Call, to: Convert) -> str | None:
    """What is wrong with a call on tensors, if anything."""
    try:
        found, wanted = parts(call(to)), parts(call(lambda x: x))
        same = [np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True) for a, b in zip(found, wanted, strict=True)]
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None if all(same) else f"{found} differs from {wanted}"


def main(library: str, device: str, core: bool) -> None:
    """Make the calls of a library, and print what failed."""
    os.environ["SCIPY_ARRAY_API"] = "1"
    import needle as ndl

    if library == "sklearn":
        importlib.import_module("sklearn").set_config(array_api_dispatch=True)
    count = 0
    with ndl.device(device):
        for name, call in of_scikit_learn() if library == "sklearn" else of_scipy():
            if not core or name in CORE:
                count += 1
                problem = failure(call, ndl.asarray)
                sys.stdout.write("" if problem is None else f"{name}: {problem}\n")
    sys.stdout.write(f"{count} calls\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], sys.argv[2], "core" in sys.argv[3:])
