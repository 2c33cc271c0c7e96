"""Print the FLOP/s of large matrix products, which no model can exceed.

python -m bench.matrix_products

The code path is the one that the environment asks for.
"""

import json

import torch

from wenmo.core.matrix_products import pin_matrix_products
from wenmo.model.cost import matrix_product_flops

if __name__ == "__main__":
    pin_matrix_products()
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    dtype = torch.bfloat16 if has_gpu else torch.float32
    matrix_product_flops(device, dtype)  # the first call warms up
    print(json.dumps({"flops": matrix_product_flops(device, dtype)}))
