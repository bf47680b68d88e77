"""The release: wheels for every supported Python on x86-64 and aarch64, built and checked on one machine."""
