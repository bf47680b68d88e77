#!/usr/bin/env bash
# The tests of the runtime in an emulated aarch64 system: Debian, the wheels of the package index for aarch64, and
# the package compiled there. Then the same picture must get the same labels as on this machine.
#
#   tests/environments/aarch64.sh PYTHON PICTURE
#
# PYTHON has the package and the tests' libraries on this machine. Needs root, because it makes a system in a folder
# (build/aarch64) and enters it. Each step that is done leaves a stamp, so that the next run goes on from there.
set -euo pipefail
python=$1
picture=$2
cd "$(dirname "$0")/../.."
here=$PWD/build/aarch64
system=$here/system
qemu=/usr/bin/qemu-aarch64-static
# Of the release of Debian, whose Python is 3.11.
release=bookworm
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
wheels=(numpy onnxruntime opencv-python-headless onnx pytest pytest-xdist hypothesis setuptools pybind11)
# From tests/: what runs on the CPU and is quick in an emulator, ten to twenty times as slow.
tests=(ops backends/test_ort.py device test_recognizer.py test_image.py test_align.py test_preprocess.py
  cli/test_predict.py cli/test_doctor.py)

need() {
  if [ "$(id -u)" != 0 ]; then
    echo "make test-aarch64 must be run as root: it makes a Debian system and changes into it" >&2
    exit 2
  fi
  for command in debootstrap "$qemu"; do
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

# The kernel starts programs for aarch64 with the emulator. F: it is opened now, so that a chroot needs no copy.
register_emulator() {
  local folder=/proc/sys/fs/binfmt_misc
  [ -e $folder/register ] || mount -t binfmt_misc binfmt_misc $folder
  if [ ! -e $folder/qemu-aarch64 ]; then
    local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":qemu-aarch64:M::$magic:$mask:$qemu:OCF" > $folder/register
  fi
}

unpack_debian() {
  rm -rf "$system"
  debootstrap --foreign --arch=arm64 --variant=minbase --include=g++,python3-dev "$release" "$system" "$mirror"
}

# Runs a command in the system, with its own /proc and /dev, which end with it.
inside() {
  # shellcheck disable=SC2016
  unshare --mount --propagation private sh -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
    exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
      PYTHONPATH=/wheels PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$@"' "$system" "$@"
}

configure_debian() {
  inside /debootstrap/debootstrap --second-stage
}

# This machine's pip unpacks the wheels for aarch64: the same files as in the emulator, ten times as fast.
install_wheels() {
  rm -rf "$system/wheels"
  local platforms=()
  for glibc in 17 24 26 27 28 31 34 35; do
    platforms+=(--platform "manylinux_2_${glibc}_aarch64")
  done
  "$python" -m pip --disable-pip-version-check --quiet install --target "$system/wheels" --only-binary :all: \
    --implementation cp --python-version 3.11 "${platforms[@]}" --platform manylinux2014_aarch64 "${wheels[@]}"
}

# As a user installs it, by the compiler of the system.
compile_package() {
  rm -rf "$system/source" "$system/installed"
  mkdir "$system/source"
  git ls-files csrc fer_edge pyproject.toml setup.py MANIFEST.in README.md LICENSE |
    tar --create --files-from=- | tar --extract --directory "$system/source"
  inside sh -c 'cd /source && python3 setup.py --quiet build --build-lib /installed'
}

copy_tests() {
  rm -rf "$system/tests"
  mkdir "$system/tests"
  git ls-files tests pyproject.toml | tar --create --files-from=- | tar --extract --directory "$system/tests"
  cp "$picture" "$system/tests/picture.png"
}

run_tests() {
  local paths=("${tests[@]/#/tests/}")
  inside env PYTHONPATH=/installed:/wheels sh -c 'cd /tests && exec python3 "$@"' python3 \
    -m pytest -p no:cacheprovider -m 'not slow and not fuzz' --durations=5 "${paths[@]}"
}

compare_labels() {
  local program=tests/environments/picture_labels.py
  "$python" -m tests.environments.picture_labels "$picture" > "$here/labels-here.json"
  inside env PYTHONPATH=/installed:/wheels:/tests python3 "/tests/$program" /tests/picture.png > "$here/labels-aarch64.json"
  "$python" -m tests.environments.same_labels "$here/labels-here.json" "$here/labels-aarch64.json"
}

need
mkdir -p "$here"
register_emulator
once unpack_debian "$release"
once configure_debian "$release"
once install_wheels "${wheels[*]}"
once compile_package "$(git ls-files -s csrc fer_edge setup.py pyproject.toml | sha256sum)"
copy_tests
run_tests
compare_labels
