# syntax=docker/dockerfile:1
# Desktop GPUs (compute capability 7.5, 8.x, 12.x): TensorRT for RTX. The driver, 580 or later, is that of the host.
#   docker build -f docker/desktop.Dockerfile -t fer_edge .
#   docker run --rm --gpus all fer_edge
ARG CUDA=13.0.2
FROM nvidia/cuda:${CUDA}-devel-ubuntu24.04 AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/fer_edge
# nvcc and the headers of CUDA, with which pycuda and the kernel that samples faces are compiled.
ENV CUDA_HOME=/usr/local/cuda FER_EDGE_CUDA=1 FER_EDGE_CUDA_ARCHITECTURES="75 80 86 89 90 120"
RUN --mount=type=bind,target=/source,rw \
    /opt/fer_edge/bin/pip install --no-cache-dir '/source[opencv,rtx,gpu]'
# Needs no GPU. For RTX 20 and GTX 16: --build-arg TARGET=turing
ARG TARGET=rtx
RUN /opt/fer_edge/bin/fer-edge build face-luma tkfnet-nano-float32 --for "$TARGET" --out /opt/engines \
 && chmod --recursive a+rX /opt/engines

# It has the libraries of CUDA that pycuda is linked to.
FROM nvidia/cuda:${CUDA}-runtime-ubuntu24.04
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --groups video fer_edge
COPY --from=build /opt /opt
ENV PATH=/opt/fer_edge/bin:$PATH
USER fer_edge
ENTRYPOINT ["fer-edge"]
CMD ["doctor", "--engines", "/opt/engines"]
