#!/bin/sh
# build.sh PROGRAM TARGET[,FLAG...]...
# Builds run_cases with $CXX and $CXXFLAGS; as in setup.py, csrc/cpu is compiled once for each target.
set -eu
program=$1
shift
mkdir -p "$(dirname "$program")"
flags="-std=c++17 -ffp-contract=off -fno-math-errno -Wall -Wextra -Werror $CXXFLAGS"
objects=
for target in "$@"; do
    name=${target%%,*}
    extra=$(echo "${target#"$name"}" | tr , ' ')
    for source in csrc/cpu/*.cpp; do
        object=$program.$name.$(basename "$source" .cpp).o
        $CXX $flags $extra "-DFER_EDGE_TARGET=$name" -c "$source" -o "$object"
        objects="$objects $object"
    done
done
sources=$(ls csrc/*.cpp | grep -v bindings.cpp)
$CXX $flags csrc/checks/run_cases.cpp $sources $objects -o "$program"
