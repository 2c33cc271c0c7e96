#!/usr/bin/env bash
# Gather in wheels/ what `python -m bench.gpu` needs on a GPU machine that already has torch,
# transformers, accelerate and peft, with what those bring along, and Python 3.12:
#
#   bench/gpu.sh
#
# The versions are those of constraints.txt. Left out are DVC, vLLM and what only data in other
# formats need. bitsandbytes has most of the megabytes.
set -euo pipefail
cd "$(dirname "$0")/.."

MOST=60000000  # bytes
PACKAGES=(
  aiolimiter annotated-types bitsandbytes datasets dill distro jiter multiprocess openai opencc
  platformdirs pydantic pydantic-core python-dotenv rapidfuzz rensa ruamel.yaml sniffio trl
  tshet-uinh typing-inspection yitizi
)
PLATFORMS=()
for glibc in 28 27 24 17; do PLATFORMS+=(--platform "manylinux_2_${glibc}_x86_64"); done

rm -rf wheels
python -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
  --python-version 3.12 --implementation cp "${PLATFORMS[@]}" \
  --constraint constraints.txt --dest wheels "${PACKAGES[@]}"
size=$(cat wheels/*.whl | wc -c)
echo "wheels/: ${#PACKAGES[@]} packages, $((size / 1000000)) MB"
if ((size > MOST)); then
  echo "wheels/ is larger than $((MOST / 1000000)) MB; leave a package out of bench/gpu.sh" >&2
  exit 1
fi
