"""Matrix products by the pinned OpenBLAS: right, and the same whatever stands beside them."""

import copy
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from wenmo.core.matrix_products import has_pinned_openblas, pin_matrix_products
from wenmo.core.stage import PINNED_ENVIRONMENT
from wenmo.engines.decoding import CPU_ROWS

pytestmark = pytest.mark.skipif(
    "OPENBLAS_CORETYPE" not in PINNED_ENVIRONMENT, reason="the pins are for AVX2"
)
SIZES = st.integers(0, 40)


@pytest.fixture(autouse=True, scope="module")
def pinned() -> None:
    assert has_pinned_openblas()
    pin_matrix_products()


def matrix(rows: int, columns: int, layout: str, seed: int) -> torch.Tensor:
    """A matrix whose rows or columns lie side by side in memory, or neither."""
    numbers = torch.Generator().manual_seed(seed)
    match layout:
        case "transposed":
            return torch.randn(columns, rows, generator=numbers).t()
        case "apart":
            return torch.randn(rows, 2 * columns + 1, generator=numbers)[:, 1::2]
        case "repeated":
            return torch.randn(1, columns, generator=numbers).expand(rows, columns)
    return torch.randn(rows, columns, generator=numbers)


LAYOUTS = st.sampled_from(["plain", "transposed", "apart", "repeated"])


@given(SIZES, SIZES, SIZES, LAYOUTS, LAYOUTS, st.integers(0, 99))
def test_products_are_those_of_double_precision(
    m: int, k: int, n: int, first: str, second: str, seed: int
) -> None:
    a, b, c = matrix(m, k, first, seed), matrix(k, n, second, seed + 1), matrix(m, n, first, seed)
    exact = (a.double() @ b.double()).float()

    def check(found: torch.Tensor, expected: torch.Tensor) -> None:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)

    check(a @ b, exact)
    check(torch.addmm(c, a, b), c + exact)
    check(torch.addmm(c, a, b, beta=2, alpha=3), 2 * c + 3 * exact)
    check(torch.addmm(c[:1], a, b) if m else c, c[:1] + exact if m else c)
    check(c.clone().addmm_(a, b), c + exact)
    check(torch.bmm(a.expand(3, m, k), b.expand(3, k, n)), exact.expand(3, m, n))
    check(torch.mm(a, b, out=torch.empty(m, n)), exact)
    check(torch.mm(a, b, out=torch.empty(n, m).t()), exact)
    assert (a.bfloat16() @ b.bfloat16()).dtype == torch.bfloat16


def test_gradients_are_those_of_double_precision() -> None:
    layer, inputs = torch.nn.Linear(6, 8), torch.randn(5, 6)
    exact = copy.deepcopy(layer).double()
    for each in (layer, exact):
        each(inputs.to(each.weight.dtype)).square().sum().backward()
    for found, expected in zip(layer.parameters(), exact.parameters(), strict=True):
        assert found.grad is not None and expected.grad is not None
        torch.testing.assert_close(found.grad, expected.grad.float())


@pytest.mark.parametrize("width", [16, 192, 6144])
@pytest.mark.parametrize("depth", [16, 192, 512])
def test_a_row_has_the_same_product_in_any_batch_and_thread(depth: int, width: int) -> None:
    rows, weight = torch.randn(64 * CPU_ROWS, depth), torch.randn(width, depth).t()
    whole = rows @ weight
    for count in (1, 2, 7, 40):
        assert torch.equal(rows[: count * CPU_ROWS] @ weight, whole[: count * CPU_ROWS])
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda _: torch.equal(rows @ weight, whole), range(16)))


def test_other_kernels_are_noticed() -> None:
    program = (
        "import numpy; import wenmo.core.stage; import torch;"
        "from wenmo.core.matrix_products import *;"
        "assert not has_pinned_openblas(); pin_matrix_products();"
        "assert torch.backends.cuda.flash_sdp_enabled()"
    )
    environment = os.environ | {"OPENBLAS_CORETYPE": "Nehalem", "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
