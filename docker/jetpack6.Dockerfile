# syntax=docker/dockerfile:1
# Jetson Orin with JetPack 6.1 or 6.2, to be built on the Jetson. The base image has CUDA 12.6 and TensorRT 10.3; the
# driver and a library of TensorRT are those of the host.
#   docker build -f docker/jetpack6.Dockerfile -t fer_edge .
#   docker run --rm --runtime nvidia -v fer_edge_engines:/engines fer_edge
ARG L4T=r36.4.0
FROM nvcr.io/nvidia/l4t-jetpack:${L4T}
# The environment sees the packages of the system, because TensorRT's bindings are one of them.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ python3-dev python3-libnvinfer python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv --system-site-packages /opt/fer_edge
ENV CUDA_HOME=/usr/local/cuda FER_EDGE_CUDA=1 FER_EDGE_CUDA_ARCHITECTURES=87 PATH=/opt/fer_edge/bin:$PATH
RUN --mount=type=bind,target=/source,rw \
    LIBRARY_PATH=/usr/local/cuda/lib64/stubs pip install --no-cache-dir '/source[opencv,gpu]'
# Engines are built on the device, because TensorRT needs the GPU for it:
#   docker run --rm --runtime nvidia -v fer_edge_engines:/engines fer_edge \
#     build face-luma tkfnet-nano-float32 --for this --out /engines
RUN useradd --create-home --groups video fer_edge \
 && install --directory --mode=700 --owner=fer_edge --group=fer_edge /engines
VOLUME /engines
USER fer_edge
ENTRYPOINT ["fer-edge"]
CMD ["doctor", "--engines", "/engines"]
