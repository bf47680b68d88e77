#!/usr/bin/env bash
# The tests of the runtime in an emulated aarch64 system: Debian's Python, the wheels of the package index for
# aarch64, and the package with its NEON target. Then a picture must get the labels that this machine gives it.
#
#   tests/environments/aarch64.sh PYTHON PICTURE
#
# PYTHON has the package and the tests' libraries on this machine. Needs root, because it changes into the other
# system, in FER_EDGE_AARCH64. Each step that is done leaves a stamp, so that the next run goes on from there.
set -euo pipefail
python=$1
picture=$2
cd "$(dirname "$0")/../.."
# Not in the checkout: setuptools follows all links below it, and a system has links to the folders of this one.
here=${FER_EDGE_AARCH64:-/var/tmp/fer_edge-aarch64}
system=$here/system
qemu=/usr/bin/qemu-aarch64-static
# Its Python is 3.11.
release=bookworm
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
wheels=(numpy onnxruntime opencv-python-headless onnx pytest hypothesis)
# From tests/: what is quick in an emulator, which is ten to twenty times as slow. The kernels: make test-neon.
tests=(recognizer/test_recognizer.py backends/test_ort.py backends/test_refused_networks.py ops/test_dispatch.py cli/test_predict.py)

need() {
  if [ "$(id -u)" != 0 ]; then
    echo "make test-aarch64 must be run as root: it makes a Debian system and changes into it" >&2
    exit 2
  fi
  for command in debootstrap aarch64-linux-gnu-g++ "$qemu"; do
    if ! command -v "$command" > /dev/null; then
      echo "$command is missing: apt-get install debootstrap qemu-user-static g++-aarch64-linux-gnu" >&2
      exit 2
    fi
  done
}

# Runs a step once; its stamp, in the system, holds what the step depends on.
once() {
  local step=$1 version=$2
  local stamp=$system/stamps/$step
  if [ "$(cat "$stamp" 2> /dev/null)" != "$version" ]; then
    echo "aarch64: $step"
    "$step"
    mkdir -p "$system/stamps"
    echo "$version" > "$stamp"
  fi
}

# The kernel starts programs for aarch64 with the emulator. F: it is opened now, so that the system needs no copy.
register_emulator() {
  local folder=/proc/sys/fs/binfmt_misc
  [ -e $folder/register ] || mount -t binfmt_misc binfmt_misc $folder
  if [ ! -e $folder/qemu-aarch64 ]; then
    local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":qemu-aarch64:M::$magic:$mask:$qemu:OCF" > $folder/register
  fi
}

# The files of the packages. Their scripts are not run, because Python needs none of what they set up, and they are
# most of the time that a complete system takes in an emulator.
unpack_debian() {
  rm -rf "$system"
  debootstrap --foreign --arch=arm64 --variant=minbase --include=python3,libpython3-dev "$release" "$system" "$mirror"
  for package in "$system"/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar --extract --keep-directory-symlink --directory "$system"
  done
}

# This machine's pip unpacks the wheels for aarch64: the same files as in the emulator, ten times as fast.
install_wheels() {
  rm -rf "$system/wheels"
  local platforms=(--platform manylinux2014_aarch64)
  for glibc in 17 24 26 27 28 31 34 35; do
    platforms+=(--platform "manylinux_2_${glibc}_aarch64")
  done
  "$python" -m pip --disable-pip-version-check --quiet install --target "$system/wheels" --only-binary :all: \
    --implementation cp --python-version 3.11 "${platforms[@]}" "${wheels[@]}"
}

compile_package() {
  rm -rf "$system/package"
  "$python" -m tests.environments.cross_build "$system" "$system/package"
}

copy_tests() {
  rm -rf "$system/checkout"
  mkdir "$system/checkout"
  git ls-files tests pyproject.toml | tar --create --files-from=- | tar --extract --directory "$system/checkout"
  cp "$picture" "$system/checkout/picture.png"
}

# Runs Python in the system, with its own /proc and /dev, which end with it. Without /sys: ONNX Runtime would find
# this machine's processor there, and crash. So it warns that it does not know the processor.
inside() {
  # shellcheck disable=SC2016
  unshare --mount --propagation private sh -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
    exec chroot "$0" env -i --chdir=/checkout PATH=/usr/bin:/bin HOME=/root LC_ALL=C.UTF-8 \
      PYTHONPATH=/package:/wheels OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python3 "$@"' "$system" "$@"
}

compare_labels() {
  "$python" -m tests.environments.picture_labels "$picture" > "$here/labels-here.json"
  inside -m tests.environments.picture_labels picture.png > "$here/labels-aarch64.json"
  "$python" -m tests.environments.same_labels "$here/labels-here.json" "$here/labels-aarch64.json"
}

need
mkdir -p "$here"
register_emulator
once unpack_debian "$release"
once install_wheels "${wheels[*]}"
once compile_package "$(git ls-files -z csrc fer_edge setup.py pyproject.toml | xargs -0 cat | sha256sum)"
copy_tests
compare_labels
# One test wants an empty stderr, where ONNX Runtime warns.
inside -m pytest -p no:cacheprovider -m 'not slow and not fuzz' --durations=5 \
  --deselect tests/cli/test_predict.py::test_a_closed_pipe_is_no_traceback "${tests[@]/#/tests/}"
